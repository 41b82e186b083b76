package binnacle

import (
	"slices"
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A bundle is the sum of edges with the same two ends, of which one at least is a group.
type bundle struct {
	e         telemetry.GraphEdge
	sum       tally
	of        int
	encrypted float64 // requests under mutual TLS
	told      float64 // requests of which a witness can tell
	estimate  telemetry.Estimate
	sampled   bool // one of the edges has an estimate
}

// mostExemplars is how many exemplars a bundle keeps, the failed and the slow first.
const mostExemplars = 3

func newBundle(source, target string, first *telemetry.GraphEdge) *bundle {
	return &bundle{e: telemetry.GraphEdge{
		ID: source + ">" + target + "|*", Source: source, Target: target,
		Protocol: first.Protocol, FirstSeen: first.FirstSeen,
	}}
}

// take adds an edge, but for its signals.
func (b *bundle) take(e *telemetry.GraphEdge) {
	b.of++
	b.e.Health = max(b.e.Health, e.Health)
	if e.Judgement.Score > b.e.Judgement.Score {
		b.e.Judgement = e.Judgement
	}
	if b.e.Protocol != e.Protocol {
		b.e.Protocol = telemetry.ProtocolUnknown
	}
	b.e.Totals.Requests += e.Totals.Requests
	b.e.Totals.Errors += e.Totals.Errors
	b.e.Totals.Throttled += e.Totals.Throttled
	b.e.Witnesses.ClientSpan += e.Witnesses.ClientSpan
	b.e.Witnesses.ServerSpan += e.Witnesses.ServerSpan
	b.e.Witnesses.ClientLog += e.Witnesses.ClientLog
	b.e.Witnesses.ServerLog += e.Witnesses.ServerLog
	b.guess(e)
	if e.MTLS >= 0 {
		b.told += float64(e.Totals.Requests)
		b.encrypted += e.MTLS * float64(e.Totals.Requests)
	}
	b.e.FirstSeen = min(b.e.FirstSeen, e.FirstSeen)
	b.e.LastSeen = max(b.e.LastSeen, e.LastSeen)
	for _, r := range e.ThrottledBy {
		if i := slices.IndexFunc(b.e.ThrottledBy, func(x telemetry.RuleRate) bool { return x.Rule == r.Rule }); i >= 0 {
			b.e.ThrottledBy[i].Rate += r.Rate
		} else {
			b.e.ThrottledBy = append(b.e.ThrottledBy, r)
		}
	}
	for i := range e.Exemplars {
		b.keep(&e.Exemplars[i])
	}
}

// guess adds how many requests there were on an edge. Error bars are added as they are: traces take several edges, and
// what is off on one is off on the others in the same direction.
func (b *bundle) guess(e *telemetry.GraphEdge) {
	of := e.Estimate
	if of == nil {
		of = &telemetry.Estimate{
			Requests:   float64(e.Totals.Requests),
			ClientSpan: telemetry.Estimated{Requests: float64(e.Witnesses.ClientSpan)},
			ServerSpan: telemetry.Estimated{Requests: float64(e.Witnesses.ServerSpan)},
		}
	}
	sum := &b.estimate
	if e.Estimate != nil && (!b.sampled || of.Within > sum.Within) { // who is named is whose part is least sure
		sum.By = of.By
	}
	b.sampled = b.sampled || e.Estimate != nil
	sum.Requests += of.Requests
	sum.Within += of.Within
	sum.ClientSpan.Requests += of.ClientSpan.Requests
	sum.ClientSpan.Within += of.ClientSpan.Within
	sum.ServerSpan.Requests += of.ServerSpan.Requests
	sum.ServerSpan.Within += of.ServerSpan.Within
}

func (b *bundle) keep(x *telemetry.Exemplar) {
	tells := func(a, b *telemetry.Exemplar) bool {
		if a.Error != b.Error {
			return a.Error
		}
		return a.Duration > b.Duration
	}
	list := b.e.Exemplars
	at := len(list)
	for at > 0 && tells(x, &list[at-1]) {
		at--
	}
	if at < mostExemplars {
		list = slices.Insert(list, at, *x)
		b.e.Exemplars = list[:min(len(list), mostExemplars)]
	}
}

func (b *bundle) edge(windows map[string]telemetry.Signals) foldedEdge {
	b.e.Windows = windows
	b.e.MTLS = -1
	if b.told > 0 {
		b.e.MTLS = b.encrypted / b.told
	}
	if b.sampled {
		b.e.Estimate = &b.estimate
	}
	slices.SortFunc(b.e.ThrottledBy, func(x, y telemetry.RuleRate) int { return strings.Compare(x.Rule, y.Rule) })
	return foldedEdge{GraphEdge: b.e, bundle: b.of}
}
