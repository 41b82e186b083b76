package topology

import (
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// What is noticed while spans and log entries are counted, so that package findings can say why the graph may be wrong: when each service sends, and as
// whom; which of its spans begin a trace, and whether it was answering a request then; what its operations are called. It costs a few additions a batch, and nothing for a span that
// has a parent.
//
// What cannot be noticed again within seconds is kept over a restart: see doubtsave.go.

// noticed is what is kept of one service.
type noticed struct {
	spans, logs pace
	looks       [recentLooks]tally // the latest, a second each, or a turn where there are many edges
	look        int                // where the next is put
	totals      totals             // at the last look
	looked      bool               // there was one
	begun       [2]float64         // of the last minute, about: spans that begin a trace, by side
	kept        float64            // of the last minute, about: its spans, since most say that they were sampled
	standFor    float64            // and for how many requests they stand
	rooted      *rooted            // nil while no call of its began a trace
	replicas    []replica
	reports     [2]uint64 // batches, by evidence
	operations  uint64    // a bit for each name of one of its server's spans
	untraced    int64     // when it was last told that it has no tracer
	inStep      int       // edges that join it with a service whose clock goes like its own
	compared    int       // and those whose clocks were compared
}

// recentLooks is how many looks are recent.
const recentLooks = 5

// pace is how regularly something comes, in Unix nanoseconds and nanoseconds.
type pace struct {
	last                   int64
	longest, before, usual int64 // pause: of the present term, of the one before, and of those before that
	term                   int64 // when the present one began
}

// traced says that nothing of what is counted now comes from a time in which the service had no tracer.
func (k *noticed) traced(now int64) bool { return k.untraced == 0 || now-k.untraced > 75e9 }

// sendsSpans says that a service does so now, and had a tracer in the last minute.
func (k *noticed) sendsSpans(now int64) bool {
	return k.traced(now) && k.spans.last > now-max(1e9, k.spans.usual)
}

// paceTerm is how long a term is. What a fault does to the pauses counts as usual after as long at the earliest.
const paceTerm = int64(10e9)

// came notes that something came. resumed is when the server last started: a pause across that is its own.
func (p *pace) came(now, resumed int64) {
	switch {
	case p.last == 0:
		p.term = now
	case p.last >= resumed:
		p.longest = max(p.longest, now-p.last)
	}
	p.last = now
}

// passes ends a term that is over.
func (p *pace) passes(now int64) {
	if p.last == 0 || now-p.term < paceTerm {
		return
	}
	p.usual = max(p.before, p.usual-p.usual/4)
	p.before, p.longest, p.term = p.longest, 0, now
}

// heard notes that node n has sent the batch that is being read, or a part of it.
func (t *Topology) heard(n *node, id *telemetry.Identity) {
	if n.key.Kind != telemetry.NodeService || n.key.Name == overflowName {
		return
	}
	k := n.noticed
	if k == nil {
		k = &noticed{}
		n.noticed = k
		t.watchService(n)
	}
	b := t.scratch.b
	if len(b.Spans) > 0 {
		k.spans.came(t.now, t.doubts.resumed)
		k.report(telemetry.EvidenceSpan, b.Str(id.Instance), t.now)
	}
	if len(b.Requests) > 0 {
		k.logs.came(t.now, t.doubts.resumed)
		k.report(telemetry.EvidenceLog, b.Str(id.Instance), t.now)
	}
}

// sketch notes what an operation is called, of one span of the batch.
func (t *Topology) sketch(b *telemetry.Batch) {
	if len(b.Spans) == 0 {
		return
	}
	s := &b.Spans[len(b.Spans)-1]
	if s.Kind != telemetry.KindServer || s.Name == 0 {
		return
	}
	if k := t.nodes.of(t.scratch.own[s.Resource]).noticed; k != nil {
		k.operations |= 1 << (xxhash.Sum64(b.Bytes(s.Name)) & 63)
	}
}

// begins counts a span's half that has no parent.
func (e *edge) begins(h *pair.Half) {
	if w := h.Witness(); w.Evidence() == telemetry.EvidenceSpan {
		e.begun[w.Side()]++
	}
}

// beginsNoMore undoes begins; of what was counted before a restart it knows nothing.
func (e *edge) beginsNoMore(h *pair.Half) {
	if w := h.Witness(); w.Evidence() == telemetry.EvidenceSpan && e.begun[w.Side()] > 0 {
		e.begun[w.Side()]--
	}
}

// rooted remembers the calls of a service that begin a trace, and whether they were made while it was answering a request.
//
// A call's span most often comes before that of the request for which it is made, which ends later; so the latest calls are held against each request, and the latest
// requests against each call.
type rooted struct {
	calls        [rootedCalls]rootedCall
	next         int
	requests     [rootedRequests]rootedCall
	nextRequest  int
	made, within uint64 // of the latest 64 or so
	busy, since  int64  // for how many nanoseconds it has been answering since when, in all
}

type rootedCall struct {
	start, end int64 // 0: none
	within     bool
}

const (
	rootedCalls    = 16
	rootedRequests = 8
	rootedMost     = 64
	rootedSlack    = int64(1e6) // by which clocks' steps may have a call end after what it is part of
)

// rooted notes a call that begins a trace. Who is never called is answering nothing.
func (t *Topology) rooted(e *edge, h *pair.Half) {
	n := t.nodes.list[e.src]
	if n.noticed == nil || len(n.in) == 0 || h.Witness() != telemetry.ClientSpan || h.Has(pair.Named) {
		return
	}
	r := n.noticed.rooted
	if r == nil {
		r = &rooted{since: t.now}
		n.noticed.rooted = r
	}
	if r.made >= rootedMost {
		r.made, r.within, r.busy = r.made/2, r.within/2, r.busy/2
		r.since = t.now - (t.now-r.since)/2
	}
	r.made++
	c := &r.calls[r.next]
	r.next = (r.next + 1) % rootedCalls
	*c = rootedCall{start: h.Start, end: h.Start + h.Duration()}
	for i := range r.requests {
		r.hold(c, &r.requests[i])
	}
}

// answered looks whether calls lie within server half h.
func (r *rooted) answered(h *pair.Half) {
	r.busy += h.Duration()
	q := &r.requests[r.nextRequest]
	r.nextRequest = (r.nextRequest + 1) % rootedRequests
	*q = rootedCall{start: h.Start, end: h.Start + h.Duration()}
	for i := range r.calls {
		r.hold(&r.calls[i], q)
	}
}

// hold looks whether a call lies within a request.
func (r *rooted) hold(c, request *rootedCall) {
	if !c.within && c.end != 0 && c.start >= request.start && c.end <= request.end+rootedSlack {
		c.within = true
		r.within++
	}
}

// chance is how many of the calls would lie within a request by chance.
func (r *rooted) chance(now int64) uint64 {
	passed := now - r.since
	if passed <= 0 {
		return 0
	}
	return uint64(float64(r.made) * (1 - math.Exp(-float64(r.busy)/float64(passed))))
}
