package aggregator

import "math"

// Series leave memory when they have seen nothing for cfg.IdleAfter.
//
// They leave by the log's time and while an entry is consumed, so that a replay
// lets the same ones go at the same place: a series that left, came back and counts
// from 0 again must do so in the replay too, or the store would see the
// old count after the new one and take it for an increase. Where no entry
// comes, none leaves; none is added either.
//
// A series that comes back starts at 0. Flush marks its end in the store
// as stale and puts a zero before its new samples, so that increase() and rate()
// see neither a gap nor a request twice. It is the same for those that leave sooner, for others: crowd.go.

// maxStale bounds the series that wait for their end to be written, in tables full.
const maxStale = 2

// sweeps is how many searches there are in one IdleAfter.
const sweeps = 15

// minTime is before anything that was seen.
const minTime = math.MinInt64

func (a *Aggregator) sweep() {
	if a.now < a.sweepAt {
		return
	}
	idle := a.cfg.IdleAfter.Nanoseconds()
	a.sweepAt = a.now + idle/sweeps
	limit := a.now - idle
	before := a.live
	a.sweepOperations(limit)
	a.sweepEdges(limit)
	a.metrics.evicted.Add(float64(before - a.live))
}

func (a *Aggregator) sweepOperations(limit int64) {
	keep := a.opOrder[:0]
	for _, op := range a.opOrder {
		if op.lastSeen >= limit && !op.leaves {
			keep = append(keep, op)
			continue
		}
		a.retire(&op.series)
		delete(a.operations, op.key)
		svc := op.service
		svc.series--
		if svc.operations[op.key.name]--; svc.operations[op.key.name] == 0 {
			delete(svc.operations, op.key.name)
		}
		if len(svc.operations) == 0 {
			delete(a.services, svc.key)
		}
	}
	clear(a.opOrder[len(keep):])
	a.opOrder = keep
}

func (a *Aggregator) sweepEdges(limit int64) {
	keep := a.edgeOrder[:0]
	for _, e := range a.edgeOrder {
		n := 0
		for i, s := range e.series {
			if s.lastSeen < limit || s.leaves {
				a.retire(s)
				continue
			}
			e.series[n], e.variants[n] = s, e.variants[i]
			n++
		}
		clear(e.series[n:])
		e.series, e.variants = e.series[:n], e.variants[:n]
		if n > 0 {
			keep = append(keep, e)
			continue
		}
		a.edges.drop(e)
		for _, p := range e.pointers {
			delete(a.byPointer, p)
		}
	}
	clear(a.edgeOrder[len(keep):])
	a.edgeOrder = keep
}

// retire takes a series off the books. What it counted since the last flush is
// written by the next one, before the mark of its end.
func (a *Aggregator) retire(s *series) {
	a.live--
	a.bytes -= int64(s.labels.ByteSize())
	a.end(s)
	if s.taken != nil {
		a.end(s.taken)
	}
}

// end has the next flush mark the end of a series.
func (a *Aggregator) end(s *series) {
	if a.flushed == 0 {
		return // the log is being replayed, and the store has it
	}
	if len(a.stale) >= maxStale*a.cfg.MaxSeries {
		a.metrics.refused.WithLabelValues(reasonEnded).Inc()
		return
	}
	a.stale = append(a.stale, s)
}
