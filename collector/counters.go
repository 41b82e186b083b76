package collector

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Reason says why a whole message was refused; nothing of it is kept.
type Reason uint8

// The reasons of refusal, with what the sender is told (gRPC, HTTP).
const (
	Overloaded  Reason = iota // RESOURCE_EXHAUSTED with a retry delay, 429: no room for it now
	TooLarge                  // RESOURCE_EXHAUSTED, 413: more than max_message_bytes, once decompressed
	Malformed                 // INVALID_ARGUMENT, 400: not of its format, truncated, or wrongly compressed
	Unsupported               // UNIMPLEMENTED, 415 or 405: a content type, encoding or method that is not spoken here
	Slow                      // DEADLINE_EXCEEDED, 408: the message did not arrive in time
	Canceled                  // CANCELED, 408: the sender went away before its message was durable
	Closed                    // UNAVAILABLE, 503: this server is stopping
	Failed                    // UNAVAILABLE with a retry delay, 503: the log could not take it
	numReasons
)

var reasonNames = [numReasons]string{ //nolint:gochecknoglobals // immutable
	"overloaded", "too_large", "malformed", "unsupported", "slow", "canceled", "closed", "failed",
}

// String is the reason as the counter's label has it.
func (r Reason) String() string { return reasonNames[r] }

// Drop says why one span or access log entry was lost, though the message that it came in was not refused.
type Drop uint8

// The reasons to drop a span or an access log entry. The first four are faults of the sender, who by OTLP is told.
// The last two are ours: the sender of an access log waits for no answer and sends nothing again, so that what this
// server has no room for is lost.
const (
	DropTraceID   Drop = iota // no trace id, or not of 16 bytes
	DropSpanID                // no span id, or not of 8 bytes
	DropOld                   // older than limits.max_age
	DropRecords               // more in the message than limits.records
	DropQueueFull             // an access log entry that came faster than the log could be written
	DropRefused               // an access log entry of a message that was refused; Reason says why
	numDrops
)

var dropNames = [numDrops]string{ //nolint:gochecknoglobals // immutable
	"trace_id", "span_id", "old", "records", "queue_full", "refused",
}

// dropTexts continue a sentence that begins with the name of the span or entry.
var dropTexts = [numDrops]string{ //nolint:gochecknoglobals // immutable
	"has no trace id of 16 bytes that are not all zero",
	"has no span id of 8 bytes that are not all zero",
	"started longer ago than this server keeps spans (receive.limits.max_age)",
	"is beyond what one message may hold (receive.limits.records): send smaller ones",
	"came faster than the log could take it",
	"came in a message that was refused",
}

// String is the reason as the counter's label has it.
func (d Drop) String() string { return dropNames[d] }

// Omission says why an access log entry is not kept though nothing is wrong with it: what it tells is counted elsewhere.
type Omission uint8

// The reasons to omit an access log entry.
const (
	OmitIntermediate Omission = iota // logged at a request's start, while it lasts, or of its upstream alone; the entry at its end counts it
	numOmissions
)

var omissionNames = [numOmissions]string{"intermediate"} //nolint:gochecknoglobals // immutable

// String is the reason as the counter's label has it.
func (o Omission) String() string { return omissionNames[o] }

// Repair says what was put right, or cut, in a span or log entry that was kept.
type Repair uint8

// The repairs.
const (
	RepairUTF8         Repair = iota // invalid UTF-8, replaced by U+FFFD
	RepairLength                     // a text or key longer than its limit, cut
	RepairKey                        // an attribute without a key, left out
	RepairAttributes                 // an attribute beyond the limit, left out
	RepairEvents                     // an event beyond the limit, left out
	RepairLinks                      // a link beyond the limit, or without ids, left out
	RepairDepth                      // a value nested too deep, left out
	RepairParent                     // a parent id that is not of 8 bytes, left out
	RepairEnum                       // a number that its enumeration does not have, read as unset
	RepairTimeZero                   // no start time: the end's or the arrival's taken
	RepairTimeFuture                 // a time beyond limits.max_future: the arrival's taken
	RepairTimeReversed               // an end before the start: no duration
	RepairIdentity                   // a sender that does not say who it is
	numRepairs
)

var repairNames = [numRepairs]string{ //nolint:gochecknoglobals // immutable
	"utf8", "length", "key", "attributes", "events", "links", "depth", "parent_id", "enum",
	"time_zero", "time_future", "time_reversed", "identity",
}

// String is the repair as the counter's label has it.
func (r Repair) String() string { return repairNames[r] }

// counters are those of one protocol, with the counter of each reason at hand.
type counters struct {
	messages, bytes, spans, requests prometheus.Counter
	refused                          [numReasons]prometheus.Counter
	omitted                          [numOmissions]prometheus.Counter
	dropped                          [numDrops]prometheus.Counter
	repaired                         [numRepairs]prometheus.Counter
}

// vectors are the counters of all protocols.
type vectors struct {
	messages, bytes, spans, requests, refused, dropped, omitted, repaired *prometheus.CounterVec
}

func newVectors(reg prometheus.Registerer, inflight func() float64) (*vectors, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "binnacle_collector_" + name + "_total", Help: help}, append([]string{"protocol"}, labels...))
	}
	v := &vectors{
		messages: counter("messages", "Messages received and made durable, whole or in part."),
		bytes:    counter("bytes", "Bytes of those messages, decompressed."),
		spans:    counter("spans", "Spans received and made durable."),
		requests: counter("requests", "Request log entries received and made durable."),
		refused:  counter("refused_messages", "Messages turned away whole.", "reason"),
		dropped:  counter("dropped", "Spans and log entries that were lost, though their message was not refused, or could not be.", "reason"),
		omitted:  counter("left_out", "Log entries that are not kept by design: what they tell is counted by another entry.", "reason"),
		repaired: counter("repaired", "Fields cut, left out or put right in spans and log entries that were kept.", "reason"),
	}
	gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "binnacle_collector_inflight_bytes",
		Help: "Bytes of messages that are being read, decoded or written now.",
	}, inflight)
	for _, c := range []prometheus.Collector{v.messages, v.bytes, v.spans, v.requests, v.refused, v.dropped, v.omitted, v.repaired, gauge} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the collector's metrics: %w", err)
		}
	}
	return v, nil
}

func (v *vectors) of(protocol string) counters {
	c := counters{
		messages: v.messages.WithLabelValues(protocol),
		bytes:    v.bytes.WithLabelValues(protocol),
		spans:    v.spans.WithLabelValues(protocol),
		requests: v.requests.WithLabelValues(protocol),
	}
	for i := range c.refused {
		c.refused[i] = v.refused.WithLabelValues(protocol, reasonNames[i])
	}
	for i := range c.dropped {
		c.dropped[i] = v.dropped.WithLabelValues(protocol, dropNames[i])
	}
	for i := range c.omitted {
		c.omitted[i] = v.omitted.WithLabelValues(protocol, omissionNames[i])
	}
	for i := range c.repaired {
		c.repaired[i] = v.repaired.WithLabelValues(protocol, repairNames[i])
	}
	return c
}
