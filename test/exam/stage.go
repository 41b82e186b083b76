package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology"
)

// A call is one span of a recording.
type call struct {
	trace     telemetry.TraceID
	id        telemetry.SpanID
	parent    telemetry.SpanID // zero: none
	namespace string
	service   string
	kind      telemetry.SpanKind
	start     int64 // Unix nanoseconds
	took      int64 // nanoseconds
	failed    bool
	system    string // the database that it asks, "" for none
}

func (c *call) end() int64 { return c.start + c.took }

// A stage is a graph that lives in the time of a recording: the graph's own code and default settings, to which a span comes in the second after
// its end, as from an exporter.
type stage struct {
	graph *topology.Topology
	now   int64
	n     telemetry.Position
}

func newStage() *stage { return &stage{graph: topology.New(topology.DefaultConfig())} }

// fork is another stage with the same state, by way of the checkpoint.
func (s *stage) fork() (*stage, error) {
	var b bytes.Buffer
	if err := s.graph.Save(&b); err != nil {
		return nil, err
	}
	f := newStage()
	f.now, f.n = s.now, s.n
	if err := f.graph.Load(&b); err != nil {
		return nil, fmt.Errorf("load what was saved: %w", err)
	}
	return f, nil
}

// play lets the calls come, until Unix nanoseconds until, and calls look each second with the graph as it is shown then. The calls are sorted by their end on the way.
func (s *stage) play(calls []call, until int64, look func(*telemetry.Graph)) {
	slices.SortStableFunc(calls, func(a, b call) int { return cmp.Compare(a.end(), b.end()) })
	if s.now == 0 && len(calls) > 0 {
		s.now = calls[0].end() / 1e9 * 1e9
	}
	for s.now < until {
		s.now += 1e9
		n := 0
		for n < len(calls) && calls[n].end() < s.now {
			n++
		}
		if n > 0 {
			s.n++
			s.graph.Consume(telemetry.Entry{Position: s.n, Batch: batch(s.now, calls[:n])})
			calls = calls[n:]
		}
		for i := range int64(5) {
			s.graph.Tick(s.now + i*int64(200*time.Millisecond))
		}
		if look != nil {
			look(s.graph.Snapshot())
		}
	}
}

// batch is what the collector would have made of the calls.
func batch(received int64, calls []call) *telemetry.Batch {
	b := telemetry.NewBatch()
	b.Received = received
	system := b.InternString("db.system.name")
	resources := map[string]uint32{}
	for i := range calls {
		c := &calls[i]
		who := c.namespace + "/" + c.service
		at, ok := resources[who]
		if !ok {
			at = uint32(len(b.Resources)) //nolint:gosec // some dozens
			resources[who] = at
			b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Namespace: b.InternString(c.namespace), Service: b.InternString(c.service)}})
		}
		s := telemetry.Span{TraceID: c.trace, SpanID: c.id, ParentID: c.parent, Kind: c.kind, Resource: at, Start: c.start, Duration: c.took}
		if c.failed {
			s.Status = telemetry.StatusError
		}
		if c.system != "" {
			s.Attrs = telemetry.Range{Start: uint32(len(b.Attrs)), Len: 1} //nolint:gosec // a second's
			b.Attrs = append(b.Attrs, telemetry.Attr{Key: system, Type: telemetry.AttrString, Value: uint64(b.InternString(c.system))})
		}
		b.Spans = append(b.Spans, s)
		b.FinishSpan(len(b.Spans) - 1)
	}
	return b
}
