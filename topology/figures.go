package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// The problem: an edge's requests are told of by up to four witnesses, each of which may miss some. To add witnesses counts requests twice; to
// take the one that saw most loses those that only the others saw: where one span in a hundred is lost, on either side, half a percent.
//
// The rule. Spans say by their ids which two are of one request, so that distinct requests can be counted:
//
//	A server span's half is alone if it refers to a caller's span that is not counted on its edge, or that another server's span has
//	met. Its hop is told of by nobody else among the spans. When the caller's comes, the half is alone no longer.
//	A client span's half meets one server span's at most. Of several that answered, as attempts that a proxy repeated, it is one that ended
//	alike, of these the one of least id.
//	A server span's half that refers to nothing cannot say whose it is. It may be any client's.
//	So the spans of an edge have seen max(clients, servers not alone) + servers alone.
//	Logs name spans, and not each other: of them the side that saw most counts.
//	An edge's figures are those of its spans or of its logs, whichever saw most; they are never added.
//
// The form: servers that are alone have an accumulator of their own, beside those of the four witnesses, so that a half is counted in one place, as
// ever, and costs nothing more. The rule is the same for each window and for all time; the past graph applies it to the series, which
// have the label "alone".
//
// Not chosen: a fifth accumulator that counts each hop (a third more work for each span, a quarter more memory for each edge); a number of hops alone (windows, errors
// and quantiles would be of others than the requests).

// Where the halves of an edge are counted: each witness' place, and that of servers' spans that are alone.
const (
	aloneSlot = telemetry.Witnesses
	slots     = telemetry.Witnesses + 1
)

// slotOf is where a half is counted.
func slotOf(h *pair.Half) int {
	if h.Alone() {
		return aloneSlot
	}
	return int(h.Witness())
}

// figures are the accumulators whose sum the edge shows, nil where there is none. count is what they are compared by.
func (e *edge) figures(count func(*signal.Acc) uint64) [2]*signal.Acc {
	of := func(slot int) uint64 {
		if e.acc[slot] == nil {
			return 0
		}
		return count(e.acc[slot])
	}
	logs := telemetry.ClientLog
	if of(int(telemetry.ServerLog)) > of(int(logs)) {
		logs = telemetry.ServerLog
	}
	spans := telemetry.ClientSpan
	if of(int(telemetry.ServerSpan)) > of(int(spans)) {
		spans = telemetry.ServerSpan
	}
	if of(int(logs)) > of(int(spans))+of(aloneSlot) {
		return [2]*signal.Acc{e.acc[logs]}
	}
	return [2]*signal.Acc{e.acc[spans], e.acc[aloneSlot]}
}

// bySpans are the accumulators whose sum the edge's spans have seen.
func (e *edge) bySpans(count func(*signal.Acc) uint64) [2]*signal.Acc {
	c, s := e.acc[telemetry.ClientSpan], e.acc[telemetry.ServerSpan]
	if c == nil || s != nil && count(s) > count(c) {
		c = s
	}
	return [2]*signal.Acc{c, e.acc[aloneSlot]}
}

func ever(a *signal.Acc) uint64 { return a.Total().Requests }

func inWindow(w signal.Window) func(*signal.Acc) uint64 {
	return func(a *signal.Acc) uint64 { return a.Requests(w) }
}

// advance moves all accumulators of the edge to tick.
func (e *edge) advance(tick int64) {
	for _, a := range e.acc {
		if a != nil {
			a.Advance(tick)
		}
	}
}

// sums is what the edge shows of a window, to which it has been advanced.
func (e *edge) sums(w signal.Window) (s signal.Sums) {
	for _, a := range e.figures(inWindow(w)) {
		if a != nil {
			s = plus(s, a.Sums(w))
		}
	}
	return s
}

// allSums is what the edge shows of each window at tick.
func (e *edge) allSums(tick int64) (of [signal.Windows]signal.Sums) {
	e.advance(tick)
	for w := range of {
		of[w] = e.sums(signal.Window(w))
	}
	return of
}

// addTimes adds the durations of what the edge shows of a window, to which it has been advanced.
func (e *edge) addTimes(d *signal.Dist, w signal.Window) {
	for _, a := range e.figures(inWindow(w)) {
		if a != nil {
			a.AddTo(d, w)
		}
	}
}

// total is what the edge shows of all time.
func (e *edge) total() (s signal.Sums) {
	for _, a := range e.figures(ever) {
		if a != nil {
			s = plus(s, a.Total())
		}
	}
	return s
}

// witnessed is how many requests each witness has reported.
func (e *edge) witnessed() (n [telemetry.Witnesses]uint64) {
	for slot, a := range e.acc {
		if a == nil {
			continue
		}
		if slot == aloneSlot {
			slot = int(telemetry.ServerSpan)
		}
		n[slot] += a.Total().Requests
	}
	return n
}

// gather adds to tr what the edge shows of each window.
func (e *edge) gather(tr *traffic, now int64) {
	e.advance(now / signal.Tick)
	for w := range signal.Window(signal.Windows) {
		for _, a := range e.figures(inWindow(w)) {
			if a == nil {
				continue
			}
			s := a.Sums(w)
			if s.Requests == 0 {
				continue
			}
			tr.sums[w].Requests += s.Requests
			tr.sums[w].Errors += s.Errors
			tr.sums[w].Throttled += s.Throttled
			a.AddTo(&tr.dist[w], w)
			r, per := &tr.rates[w], perSecond(w, e.first, now)
			r.requests += float64(s.Requests) * per
			r.errors += float64(s.Errors) * per
			r.throttled += float64(s.Throttled) * per
		}
	}
}
