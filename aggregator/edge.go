package aggregator

import (
	"strconv"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// maxVariants bounds the series of one edge that differ in code or flags, which
// senders choose. Beyond it they are left out: what remains are two sides, of
// which the server may be alone, two kinds of evidence, three outcomes and four states of TLS.
const maxVariants = 64

// maxPointers bounds how many of topology's pointers one edge answers to.
const maxPointers = 8

// variant is what tells the series of one edge apart.
type variant struct {
	code     int32 // -1: none
	flags    telemetry.ResponseFlags
	side     telemetry.Side
	evidence telemetry.Evidence
	outcome  telemetry.Outcome
	tls      telemetry.TLS
	alone    bool
}

// An edge is the series of one edge of the graph.
type edge struct {
	key      *telemetry.Edge // never changed; topology's own where no name had to be cut
	next     *edge           // in the table, of the same hash
	pointers []*telemetry.Edge
	variants []variant
	series   []*series // as variants
}

// Observe counts what the graph observed in an entry, after Consume of the same
// entry, or while time passed.
//
// Graph and aggregator are saved together, at one position. Should the graph
// come back from an older state, what it observes again on its way here is left out:
// it begins before what has been counted (I2).
func (a *Aggregator) Observe(seen telemetry.Observed) {
	if seen.From < a.observed {
		return
	}
	a.observed = seen.To
	if seen.From == seen.To {
		a.makeFrom(a.now) // time passed, and no entry came
	}
	for i := range seen.Requests {
		a.observe(&seen.Requests[i])
	}
	a.metrics.observations.Add(float64(len(seen.Requests)))
}

// observe counts one request on an edge as one witness saw it.
func (a *Aggregator) observe(o *telemetry.Observation) {
	v := variant{
		code: o.Code, flags: o.Response,
		side: o.Side, evidence: o.Evidence, outcome: o.Outcome, tls: o.TLS, alone: o.Alone,
	}
	if !codeKnown(o.Edge.Protocol, o.Code) {
		v.code = -1
	}
	s := a.edgeSeries(o.Edge, v)
	s.lastSeen = a.now
	if o.Taken {
		a.takeBack(s, o)
		return
	}
	a.note(s.fold)
	s.observe(o.At, o.Duration, &o.TraceID, &o.SpanID, o.Outcome == telemetry.OutcomeError)
}

// codeKnown says whether a code is one that the protocol knows; a sender may
// put any number there.
func codeKnown(p telemetry.Protocol, code int32) bool {
	switch p {
	case telemetry.ProtocolHTTP:
		return code == 0 || code >= 100 && code <= 599
	case telemetry.ProtocolGRPC:
		return code >= 0 && code <= 16
	default:
		return false
	}
}

func (a *Aggregator) edgeSeries(p *telemetry.Edge, v variant) *series {
	e := a.byPointer[p]
	if e == nil {
		key := boundedEdge(p)
		if e = a.edges.find(key); e == nil {
			if a.filled(lastPart) && !a.admit(false, hashEdge(key)) {
				return a.overflowEdge(v.outcome)
			}
			e = a.addEdge(key)
		}
		a.point(p, e)
	}
	for i := range e.variants {
		if e.variants[i] == v {
			return e.series[i]
		}
	}
	f := foldNone
	if len(e.variants) >= maxVariants && (v.code != -1 || v.flags != 0) {
		v.code, v.flags, f = -1, 0, foldCodes
		for i := range e.variants {
			if e.variants[i] == v {
				a.note(f)
				return e.series[i]
			}
		}
	}
	if a.filled(0) && !a.admit(true, 0) {
		return a.overflowEdge(v.outcome)
	}
	a.note(f)
	return a.addVariant(e, v)
}

func (a *Aggregator) addEdge(key *telemetry.Edge) *edge {
	e := &edge{key: key}
	a.edges.put(e)
	a.edgeOrder = append(a.edgeOrder, e)
	return e
}

// point makes e answer to pointer p. Topology makes an edge anew when it comes
// back after a long time; the oldest pointers are forgotten.
func (a *Aggregator) point(p *telemetry.Edge, e *edge) {
	if len(e.pointers) >= maxPointers {
		delete(a.byPointer, e.pointers[0])
		e.pointers = append(e.pointers[:0], e.pointers[1:]...)
	}
	e.pointers = append(e.pointers, p)
	a.byPointer[p] = e
}

func (a *Aggregator) addVariant(e *edge, v variant) *series {
	s := a.add(edgeLabels(e.key, v), foldNone)
	e.variants = append(e.variants, v)
	e.series = append(e.series, s)
	return s
}

func (a *Aggregator) overflowEdge(o telemetry.Outcome) *series {
	s := &a.edgeOverflow[o]
	if *s == nil {
		*s = a.newSeries(labels.FromStrings(labels.MetricName, canonical.Edge, canonical.Outcome, o.String(), canonical.Overflow, "true"), foldSeries)
	}
	return *s
}

func edgeLabels(e *telemetry.Edge, v variant) labels.Labels {
	b := labels.NewScratchBuilder(32)
	b.Add(labels.MetricName, canonical.Edge)
	if v.alone {
		b.Add(canonical.Alone, "true")
	}
	if v.code >= 0 {
		b.Add(canonical.Code, strconv.Itoa(int(v.code)))
	}
	d, s := &e.Target, &e.Source
	addLabel(&b, canonical.Destination, d.Node.Name)
	addLabel(&b, canonical.DestinationApp, d.App)
	addLabel(&b, canonical.DestinationCluster, d.Node.Cluster)
	addLabel(&b, canonical.DestinationKind, d.Node.Kind.String())
	addLabel(&b, canonical.DestinationNamespace, d.Node.Namespace)
	addLabel(&b, canonical.DestinationPrincipal, d.Principal)
	addLabel(&b, canonical.DestinationSystem, d.System)
	addLabel(&b, canonical.DestinationVersion, d.Version)
	addLabel(&b, canonical.DestinationWorkload, d.Workload)
	b.Add(canonical.Evidence, v.evidence.String())
	addLabel(&b, canonical.Flags, v.flags.String())
	b.Add(canonical.Outcome, v.outcome.String())
	b.Add(canonical.Protocol, e.Protocol.String())
	b.Add(canonical.Side, v.side.String())
	addLabel(&b, canonical.Source, s.Node.Name)
	addLabel(&b, canonical.SourceApp, s.App)
	addLabel(&b, canonical.SourceCluster, s.Node.Cluster)
	addLabel(&b, canonical.SourceKind, s.Node.Kind.String())
	addLabel(&b, canonical.SourceNamespace, s.Node.Namespace)
	addLabel(&b, canonical.SourcePrincipal, s.Principal)
	addLabel(&b, canonical.SourceSystem, s.System)
	addLabel(&b, canonical.SourceVersion, s.Version)
	addLabel(&b, canonical.SourceWorkload, s.Workload)
	addLabel(&b, canonical.TLS, v.tls.String())
	return b.Labels()
}
