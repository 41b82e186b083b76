package topology

import (
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// The problem: a node shows the golden signals of its inbound traffic, and the
// edges that lead to it show theirs. The two must agree, at every moment, also while
// halves wait on the edge from nowhere, of whose requests nobody knows yet who sent them. To
// draw that edge as it is counts requests twice: where a log entry has not met its span yet, the
// span's half is on the edge of a known caller, and the entry's on the one from nowhere. To leave it
// out shows nothing of requests that a service has had.
//
// The rule, for each window and for the totals:
//
//	A node's traffic is the sum of its inbound edges as they are drawn: always.
//	The rest is what the spans of its inbound edges, or its own proxy's log, have
//	seen in all, from nowhere included, beyond what its other edges show (of the spans distinct requests: figures.go). It is drawn on
//	the unknown client's edge, and leaves it when the caller is heard of. A short window has no more of it than the longer ones.
//	Where all callers are known, what waits is most likely theirs: there the rest is of what is so old that
//	nothing of it waits. Where none is known, or some requests are the unknown client's for good, it is of all.
//
// So a service whose callers nobody knows is seen at once; a mesh whose callees export their spans before their
// callers do shows no edge that is not there; and no request counts twice, for each witness reports it once.
//
// Not chosen: adding the rest to the node and to no edge (the parts do not sum to the whole);
// drawing it at the unknown client wherever something waits (in a mesh of real proxies such edges come
// and go all the time, and are untrue); the best witness of the node's sums (a caller with spans and one with logs alone
// would not add up).

// rest is what the unknown client's edge of one protocol shows beyond what is counted on it.
type rest struct {
	sums   [signal.Windows]signal.Sums
	totals signal.Sums
	by     calleeSide // of the totals
	best   [signal.Windows]calleeSide
	from   *edge // from nowhere
}

// narrow sees to it that no window shows what the longer ones and the totals do not: where the halves of a request came in
// different seconds, a short window has the one, and a longer one has both and knows them for one request.
func (r *rest) narrow() {
	most := r.totals.Requests
	for w := len(r.sums) - 1; w >= 0; w-- {
		r.sums[w], _ = takeOf(r.sums[w], most)
		most = r.sums[w].Requests
	}
}

// addTo adds the rest to what an edge or a node shows.
func (r *rest) addTo(tr *traffic, now int64) {
	for w := range signal.Window(signal.Windows) {
		s := &r.sums[w]
		if s.Requests == 0 {
			continue
		}
		tr.sums[w].Requests += s.Requests
		tr.sums[w].Errors += s.Errors
		tr.sums[w].Throttled += s.Throttled
		per := perSecond(w, r.from.first, now)
		tr.rates[w].requests += float64(s.Requests) * per
		tr.rates[w].errors += float64(s.Errors) * per
		tr.rates[w].throttled += float64(s.Throttled) * per
		r.addTimes(&tr.dist[w], w)
	}
}

// addTimes adds the durations of those among whom the rest is.
func (r *rest) addTimes(d *signal.Dist, w signal.Window) {
	if r.sums[w].Requests > 0 {
		r.from.acc[r.best[w].slot()].AddTo(d, w)
	}
}

// inboundTotal is what the edges that lead to a node show of all time, but for the one from nowhere, which is hidden; settled says
// that what waits there is most likely theirs.
func inboundTotal(in []*edge) (total signal.Sums, hidden, settled bool) {
	forGood := false
	for _, e := range in {
		if e.src == nowhere {
			hidden = true
			continue
		}
		forGood = forGood || e.fromUnknown
		s := e.total()
		total.Requests += s.Requests
		total.Errors += s.Errors
		total.Throttled += s.Throttled
	}
	return total, hidden, total.Requests > 0 && !forGood
}

// renderInbound renders the inbound traffic of a node, of which the edges from
// known callers have been rendered, and with it its edges from the unknown client. tr, which is
// empty, is left with its sums and distributions.
func (t *Topology) renderInbound(in []*edge, tr *traffic) (windows [signal.Windows]shown, changed bool) {
	caller := t.nodes.byKey[callerNode()]
	for _, e := range in {
		if e.src != nowhere {
			e.gather(tr, t.now)
		}
	}
	total, hidden, settled := inboundTotal(in)
	var rests [len(known) + 1]rest
	n := 0
	if hidden {
		n = t.shareRest(in, &tr.sums, total, settled, &rests)
		for i := range rests[:n] {
			rests[i].addTo(tr, t.now)
		}
	}
	for _, e := range in {
		if e.src != nowhere && e.src != caller {
			continue
		}
		if t.renderEdge(e, restOf(e, in, rests[:n])) {
			changed = true
		}
	}
	for _, e := range in {
		if !e.drawn.visible {
			continue
		}
		for w := range windows {
			v, of := &windows[w], &e.drawn.windows[w]
			v.rate += of.rate
			v.errors += of.errors
			v.throttled += of.throttled
		}
	}
	for w := range windows {
		windows[w].finish(&tr.dist[w])
	}
	return windows, changed
}

// restOf is the rest that an edge of the unknown client shows, nil if there is none. Where requests are
// counted at the unknown client for good, that edge shows it, otherwise the one from nowhere in its name.
func restOf(e *edge, in []*edge, rests []rest) *rest {
	if e.src == nowhere {
		for _, o := range in {
			if o.src != nowhere && o.protocol == e.protocol && o.fromUnknown {
				return nil
			}
		}
	}
	for i := range rests {
		if rests[i].from.protocol == e.protocol {
			return &rests[i]
		}
	}
	return nil
}

// shareRest works out the rest, and shares it among the edges from nowhere, of which
// there is one a protocol. shown is what the other edges show of each window, total
// of all time. settled leaves out what may still wait.
func (t *Topology) shareRest(in []*edge, shown *[signal.Windows]signal.Sums, total signal.Sums, settled bool, rests *[len(known) + 1]rest) (n int) {
	var seen [signal.Windows][calleeSides]signal.Sums
	var all [calleeSides]signal.Sums
	for _, e := range in {
		if e.src == nowhere && n < len(rests) {
			rests[n].from = e
			n++
		}
		e.advance(t.tick)
		for by := range calleeSides {
			for _, a := range e.seenBy(by, ever) {
				if a != nil {
					all[by] = plus(all[by], a.Total())
				}
			}
			for w := range signal.Window(signal.Windows) {
				for _, a := range e.seenBy(by, inWindow(w)) {
					if a != nil {
						seen[w][by] = plus(seen[w][by], a.Sums(w))
					}
				}
			}
		}
	}
	slices.SortFunc(rests[:n], func(a, b rest) int { return int(a.from.protocol) - int(b.from.protocol) }) // not by place: who gets what is part of the state
	var young [calleeSides]signal.Sums                                                                     // what may still wait
	first := signal.Window(0)
	if settled {
		w := t.waitingWindow()
		first = w + 1
		for _, r := range rests[:n] {
			for by := range calleeSides {
				if a := r.from.acc[by.slot()]; a != nil {
					young[by] = plus(young[by], a.Sums(w))
				}
			}
		}
	}
	for w := first; w < signal.Windows; w++ {
		best, left := beyond(without(&seen[w], &young), shown[w])
		for i := range rests[:n] {
			r := &rests[i]
			r.best[w] = best
			if a := r.from.acc[best.slot()]; a != nil {
				r.sums[w], left = takeOf(left, a.Sums(w).Requests)
			}
		}
	}
	best, left := beyond(without(&all, &young), total)
	for i := range rests[:n] {
		r := &rests[i]
		r.by = best
		if a := r.from.acc[best.slot()]; a != nil {
			r.totals, left = takeOf(left, a.Total().Requests)
		}
		r.narrow()
	}
	return n
}

// waitingWindow is the shortest window that is as long as halves wait; the longest where none is.
func (t *Topology) waitingWindow() signal.Window {
	for w := range signal.Window(signal.Windows - 1) {
		if signal.Seconds(w, 0) >= t.cfg.PairWait.Seconds() {
			return w
		}
	}
	return signal.Windows - 1
}

// without is a less b.
func without(a, b *[calleeSides]signal.Sums) *[calleeSides]signal.Sums {
	var out [calleeSides]signal.Sums
	for i := range a {
		out[i] = minus(a[i], b[i])
	}
	return &out
}

func minus(a, b signal.Sums) signal.Sums {
	a.Requests -= min(a.Requests, b.Requests)
	a.Errors -= min(a.Errors, b.Errors)
	a.Throttled -= min(a.Throttled, b.Throttled)
	return a
}

func plus(a, b signal.Sums) signal.Sums {
	a.Requests += b.Requests
	a.Errors += b.Errors
	a.Throttled += b.Throttled
	return a
}

// beyond is what the better evidence of the callee's side saw beyond what is shown. That is
// no more than it saw from nowhere, since each edge shows at least what that evidence saw there.
func beyond(seen *[calleeSides]signal.Sums, shown signal.Sums) (best calleeSide, more signal.Sums) {
	best = bySpan
	if seen[byLog].Requests > seen[best].Requests {
		best = byLog
	}
	s := &seen[best]
	if s.Requests <= shown.Requests {
		return best, more
	}
	more.Requests = s.Requests - shown.Requests
	more.Errors = min(more.Requests, s.Errors-min(s.Errors, shown.Errors))
	more.Throttled = min(more.Requests-more.Errors, s.Throttled-min(s.Throttled, shown.Throttled))
	return best, more
}

// takeOf takes up to n requests out of s, errors first.
func takeOf(s signal.Sums, n uint64) (took, left signal.Sums) {
	took.Requests = min(s.Requests, n)
	took.Errors = min(s.Errors, took.Requests)
	took.Throttled = min(s.Throttled, took.Requests-took.Errors)
	left.Requests, left.Errors, left.Throttled = s.Requests-took.Requests, s.Errors-took.Errors, s.Throttled-took.Throttled
	return took, left
}

// calleeSide is evidence that sees all of a node's inbound traffic, or none.
type calleeSide int

const (
	bySpan calleeSide = iota
	byLog
	calleeSides calleeSide = 2
)

// slot is where such evidence is counted on an edge from nowhere: a server span's half that waits there is alone.
func (by calleeSide) slot() int {
	if by == byLog {
		return int(telemetry.ServerLog)
	}
	return aloneSlot
}

func (by calleeSide) witness() telemetry.Witness {
	if by == byLog {
		return telemetry.ServerLog
	}
	return telemetry.ServerSpan
}

// seenBy are the accumulators whose sum such evidence has seen on an edge.
func (e *edge) seenBy(by calleeSide, count func(*signal.Acc) uint64) [2]*signal.Acc {
	if by == byLog {
		return [2]*signal.Acc{e.acc[telemetry.ServerLog]}
	}
	return e.bySpans(count)
}
