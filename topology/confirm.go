package topology

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/findings"
)

// Whom a caller means is in his span, or in his proxy's log; who answered is in the callee's. Where both are known and are services that report, and are not the same, it is
// remembered: an address may have been given to another (findings/address.go).

// answer is what was answered by another than was called. It is kept by the nodes themselves, which may have gone since.
type answer struct {
	total, fresh uint64
	lately       float64
	callers      []*node // four at most
	address      string
	last         int64
}

type answerKey struct{ called, answering *node }

const (
	maxAnswers  = 256
	someCallers = 4
)

// confirm notes that src's call of far was answered by dst.
func (t *Topology) confirm(src, far, dst endpointID) *answer {
	if far == dst || far == nowhere || t.same(far, dst) {
		return nil
	}
	called, answering, by := t.nodes.of(far), t.nodes.of(dst), t.nodes.of(src)
	if called.noticed == nil || answering.noticed == nil || by == answering || by == called {
		return nil
	}
	key := answerKey{called, answering}
	a := t.doubts.answers[key]
	if a == nil {
		if len(t.doubts.answers) >= maxAnswers {
			return nil
		}
		if t.doubts.answers == nil {
			t.doubts.answers = map[answerKey]*answer{}
		}
		a = &answer{}
		t.doubts.answers[key] = a
	}
	a.total++
	a.fresh++
	a.last = t.now
	if len(a.callers) < someCallers && !slices.Contains(a.callers, by) {
		a.callers = append(a.callers, by)
	}
	return a
}

// confirmAt is confirm for the entry of a caller's log that is being read, which knows the address.
func (t *Topology) confirmAt(src, far, dst endpointID) {
	a := t.confirm(src, far, dst)
	if a == nil || a.address != "" || t.scratch.upstream.Host == 0 {
		return
	}
	a.address = strings.Clone(cut(t.scratch.b.Str(t.scratch.upstream.Host)))
	if port := t.scratch.upstream.Port; port != 0 {
		if strings.Contains(a.address, ":") {
			a.address = "[" + a.address + "]" // IPv6
		}
		a.address += ":" + strconv.Itoa(int(port))
	}
}

// answersSeen judges what was answered by others.
func (t *Topology) answersSeen() {
	d := &t.doubts
	keys := make([]answerKey, 0, len(d.answers))
	for k, a := range d.answers {
		a.lately = a.lately*4/5 + float64(a.fresh)
		a.fresh = 0
		if t.now-a.last > 60e9 {
			delete(d.answers, k)
		}
		if k.called.noticed == nil || k.answering.noticed == nil {
			delete(d.answers, k) // one has gone
			continue
		}
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b answerKey) int {
		return cmp.Or(strings.Compare(a.called.drawnID(), b.called.drawnID()), strings.Compare(a.answering.drawnID(), b.answering.drawnID()))
	})
	var best best
	for _, k := range keys {
		a := d.answers[k]
		if a == nil {
			a = &answer{} // it has ended
		}
		if d.book.Told(findings.ServiceRenamed, k.called.drawnID()) {
			continue
		}
		o := findings.Reused(t.answerOf(k, a))
		best.add(&o)
	}
	best.note(t)
}

func (t *Topology) answerOf(k answerKey, a *answer) *findings.Answer {
	recent := k.called.noticed.recent()
	out := &findings.Answer{
		Called: k.called.drawnID(), Answering: k.answering.drawnID(), CalledName: k.called.key.Name, AnsweringName: k.answering.key.Name,
		Address: a.address, Lately: a.lately, Total: a.total, CalledLately: float64(recent.In[telemetry.ServerSpan]),
		CalledReports:    k.called.noticed.sendsSpans(t.now),
		AnsweringReports: k.answering.noticed.sendsSpans(t.now),
	}
	for _, c := range a.callers {
		out.Callers = append(out.Callers, c.key.Name)
	}
	slices.Sort(out.Callers)
	for _, e := range k.answering.in {
		src := t.nodes.list[e.src]
		switch {
		case slices.Contains(a.callers, src):
			out.Edges = append(out.Edges, t.drawnID(e))
		case e.src != nowhere && !e.fromUnknown && t.now-e.last < 60e9:
			out.AnsweringIsCalled = true
		}
	}
	slices.Sort(out.Edges)
	return out
}
