package topology

import (
	"encoding/binary"
	"math/bits"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: a sender that was not answered sends the same request again, seconds or minutes later, perhaps after a restart of the server,
// which has it in its log already. While halves wait each span is known by its ids; for a quarter of an hour that would be gigabytes.
//
// The form: such a sender repeats what it sent to the last byte (exporters retry requests, queues redeliver messages), and a request is a batch. So
// a batch is remembered by one number made of all its spans, in rows that keep their latest few (recent.go): memory is
// bounded, and a flood of small batches makes it shorter. It is state, and saved.
//
// Not chosen: filters of span ids (2 bytes a span at least, and each false answer is a request lost); forgetting by sender (a sender is an
// address, and comes again by another).

const (
	// 131,072 batches, 2 MiB.
	repeatRows = 1 << 13
	repeatRow  = 16
	// repeatKeeps is for how many ticks a batch is remembered: 15 minutes from when it last came.
	repeatKeeps = 9000
)

// repeated says that a batch of spans, and of nothing else, has come before; if so it counts it as left out. Who could make another's batch look
// like one that came would have to know its ids beforehand.
func (t *Topology) repeated(b *telemetry.Batch) bool {
	if len(b.Spans) == 0 || len(b.Requests) > 0 {
		return false
	}
	last, again := t.repeats.note(digest(b.Spans), t.tick)
	last.tick = t.tick
	if !again {
		return false
	}
	for i := range b.Spans {
		if s := &b.Spans[i]; s.Kind > telemetry.KindInternal || !s.TraceID.IsZero() && !s.SpanID.IsZero() {
			t.stats.LeftOut.Duplicates++
		}
	}
	return true
}

// digest is a number made of spans' ids and times, and of their order.
func digest(spans []telemetry.Span) uint64 {
	h := uint64(len(spans))
	for i := range spans {
		s := &spans[i]
		v := fold(binary.LittleEndian.Uint64(s.TraceID[:8])^0x9e3779b97f4a7c15, binary.LittleEndian.Uint64(s.TraceID[8:])^0xd1342543de82ef95)
		v ^= fold(binary.LittleEndian.Uint64(s.SpanID[:])^0xbf58476d1ce4e5b9, uint64(s.Start)^0x94d049bb133111eb)          //nolint:gosec // bits
		h = fold(h^v^0xa0761d6478bd642f, uint64(s.Duration)<<3^uint64(s.Kind)^bits.RotateLeft64(v, 31)^0xe7037ed1a0b428db) //nolint:gosec // bits
	}
	return h
}

// fold mixes two words into one, of which each bit depends on all of both.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
