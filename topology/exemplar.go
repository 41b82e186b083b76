package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// exemplar is a request by which a number can be looked into.
type exemplar struct {
	trace telemetry.TraceID
	span  telemetry.SpanID
	took  int64
	at    int64 // Unix nanoseconds; 0: none
	err   bool
}

const exemplarAge = 60e9

// slower takes o if it is the slower, latest takes it if it is the later. Both
// have one answer whatever the order in which many are merged.
func (e *exemplar) slower(o exemplar) {
	if o.at != 0 && (e.at == 0 || o.took > e.took || o.took == e.took && (o.at > e.at || o.at == e.at && o.after(e))) {
		*e = o
	}
}

func (e *exemplar) latest(o exemplar) {
	if o.at > e.at || o.at == e.at && o.after(e) {
		*e = o
	}
}

func (e *exemplar) after(o *exemplar) bool { return string(e.span[:]) > string(o.span[:]) }

// exemplify keeps a half as its edge's example, if it is one.
func (t *Topology) exemplify(e *edge, h *pair.Half) {
	if h.Trace.IsZero() {
		return
	}
	took := h.Duration()
	isErr := h.Outcome() == telemetry.OutcomeError
	if took < e.slow.took && !isErr && t.now-e.slow.at < exemplarAge {
		return
	}
	x := exemplar{trace: h.Trace, span: h.Span, took: took, at: t.now, err: isErr}
	if took >= e.slow.took || t.now-e.slow.at >= exemplarAge {
		e.slow = x
	}
	if isErr {
		if e.failed == nil {
			e.failed = new(exemplar)
		}
		*e.failed = x
	}
}

// young says that an exemplar is of the last minute.
func (x *exemplar) young(now int64) bool { return x.at != 0 && now-x.at < exemplarAge }

// exemplars are the edge's examples of the last minute: its slowest request and
// its latest error.
func (e *edge) exemplars(now int64) (out [2]telemetry.Exemplar, n int) {
	add := func(x *exemplar) {
		out[n] = telemetry.Exemplar{TraceID: x.trace, SpanID: x.span, Duration: x.took, Error: x.err, Time: x.at}
		n++
	}
	if e.slow.young(now) {
		add(&e.slow)
	}
	if f := e.failed; f != nil && f.young(now) && (f.span != e.slow.span || f.trace != e.slow.trace || n == 0) {
		add(f)
	}
	return out, n
}
