package aggregator

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// countedBytes is what a node or an edge takes besides its buckets and versions.
const (
	countedBytes = 120
	bucketBytes  = 16
)

// Range is the graph as [GraphReader.Graph] has it, with what was counted: by its figures alone nobody can tell a change from chance.
func (r *GraphReader) Range(ctx context.Context, from, to time.Time) (*telemetry.GraphRange, error) {
	bill := newGraphBill(ctx)
	d, err := r.draw(ctx, bill, from, to, nil)
	if err != nil {
		return nil, err
	}
	g, err := r.whole(d, to, bill)
	if err != nil {
		return nil, err
	}
	out := &telemetry.GraphRange{Graph: g, Seconds: d.seconds, Nodes: make([]telemetry.Counted, len(g.Nodes)), Edges: make([]telemetry.Counted, len(g.Edges))}
	for i := range g.Nodes {
		n := d.nodes[g.Nodes[i].ID]
		c := countedOf(&n.inbound)
		c.Calls = n.made
		c.Versions = n.versionCounts()
		out.Nodes[i] = c
		if err := bill.counted(&c); err != nil {
			return nil, err
		}
	}
	for i := range g.Edges {
		c := countedOf(&d.edges[g.Edges[i].ID].shown)
		out.Edges[i] = c
		if err := bill.counted(&c); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// counted counts what a node or an edge holds, and lets others go first.
func (b *graphBill) counted(c *telemetry.Counted) error {
	if b.ask != nil {
		if err := b.ask.Take(countedBytes + int64(len(c.Times))*bucketBytes + int64(len(c.Versions))*countedBytes); err != nil {
			return err
		}
	}
	return b.one()
}

func countedOf(s *seen) telemetry.Counted {
	return telemetry.Counted{Requests: s.requests, Errors: s.errors, Throttled: s.throttled, Times: timesOf(s.latency)}
}

// timesOf are the buckets that hold anything.
func timesOf(h *histogram.FloatHistogram) []telemetry.TimeCount {
	if h == nil {
		return nil
	}
	out := make([]telemetry.TimeCount, 0, len(h.PositiveBuckets)+1)
	if h.ZeroCount > 0 {
		out = append(out, telemetry.TimeCount{Bucket: math.MinInt32, Count: h.ZeroCount})
	}
	for it := h.PositiveBucketIterator(); it.Next(); {
		if b := it.At(); b.Count > 0 {
			out = append(out, telemetry.TimeCount{Bucket: b.Index, Count: b.Count})
		}
	}
	return out
}

// versionCounts are a node's versions, by name.
func (n *drawnNode) versionCounts() []telemetry.VersionCount {
	if len(n.versions) == 0 {
		return nil
	}
	out := make([]telemetry.VersionCount, 0, len(n.versions))
	for v, p := range n.versions {
		out = append(out, telemetry.VersionCount{Version: v, Requests: slices.Max(p[:])})
	}
	slices.SortFunc(out, func(a, b telemetry.VersionCount) int { return strings.Compare(a.Version, b.Version) })
	return out
}
