package aggregator

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

const (
	statuses = telemetry.StatusError + 1
	outcomes = telemetry.OutcomeThrottled + 1
)

// A fold is why an observation was counted in a coarser series than its own.
type fold uint8

const (
	foldNone       fold = iota
	foldSeries          // the limit on series: it is in the overflow series
	foldOperations      // the service's limit on operations: it is in {other}
	foldCodes           // the edge's limit on codes: its code and flags are left out
	folds
)

var foldReasons = [folds]string{"", "series_limit", "operations_limit", "codes_limit"} //nolint:gochecknoglobals // immutable

// A series is one canonical histogram.
type series struct {
	latency  latency
	labels   labels.Labels
	lastSeen int64 // log time
	fold     fold
	leaves   bool    // the sweep that comes takes it out
	taken    *series // what of it was taken back, nil if nothing was: see taken.go

	// What the store knows. It is not part of the state that the log determines.

	ref      storage.SeriesRef
	appended int64 // Unix ms of the newest sample written, 0: none by this process
	dirty    bool  // saw something since
	fresh    bool  // its first sample is to be preceded by a zero
	born     int64 // Unix ms of the log, of a series that a replay made: see replayed.go

	// The exemplars to be written next.

	slowest, failed mark
	exemplified     int64 // Unix ms of the flush that wrote the last ones
	lastExemplar    int64 // Unix ms from which on the next may lie
}

// A mark remembers a span for an exemplar. A duration below 0 is none.
type mark struct {
	end      int64 // Unix nanoseconds
	duration int64
	trace    telemetry.TraceID
	span     telemetry.SpanID
}

// observe counts one duration. id names the span, a zero trace id names none.
func (s *series) observe(start, duration int64, trace *telemetry.TraceID, span *telemetry.SpanID, failed bool) {
	s.latency.observe(duration)
	s.dirty = true
	if duration > s.slowest.duration && !trace.IsZero() {
		s.slowest = mark{end: start + duration, duration: duration, trace: *trace, span: *span}
	}
	if failed && s.failed.duration < 0 && !trace.IsZero() {
		s.failed = mark{end: start + duration, duration: duration, trace: *trace, span: *span}
	}
}

// add makes a series and counts it against the limit.
func (a *Aggregator) add(l labels.Labels, f fold) *series {
	a.live++
	a.bytes += int64(l.ByteSize())
	return a.newSeries(l, f)
}

// newSeries makes a series that the limit does not count.
func (a *Aggregator) newSeries(l labels.Labels, f fold) *series {
	return &series{
		labels:   l,
		fold:     f,
		lastSeen: a.now,
		// Before the first flush of a process the log is being replayed, and the store
		// may hold samples of this series already: a zero after them would read as a
		// reset, and count them twice.
		fresh:   a.flushed != 0,
		born:    a.making,
		slowest: mark{duration: -1},
		failed:  mark{duration: -1},
	}
}

// note counts that an observation was folded.
func (a *Aggregator) note(f fold) {
	if f != foldNone {
		a.folded[f]++
	}
}
