package aggregator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	seriesdb "github.com/binnacle-mesh/binnacle/storage/series"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// A GraphStore is read for past graphs; storage/series is one.
type GraphStore interface {
	storage.ChunkQueryable
	storage.ExemplarQueryable
}

// A GraphReader makes the service graph of a past range out of the increases of
// the canonical edge series. It may be used by many goroutines at once.
type GraphReader struct {
	store  GraphStore
	judged Chronicle
	health atomic.Pointer[health.Config]
}

// A Chronicle remembers what the live graph judged; topology.Topology is one.
type Chronicle interface {
	// JudgedAt is what was in force at a moment, and whether that is still known. It belongs to the caller.
	JudgedAt(at time.Time) (j telemetry.Judgements, known bool)
	// Clusters are where nodes run or ran, "" where that is not known: series do not have it.
	Clusters(nodes []telemetry.Node) []string
	// FoundAt is what was found then of why the graph may be wrong, as far as it is remembered, the gravest first.
	FoundAt(at time.Time) []telemetry.Finding
}

// NewGraphReader reads from store, and says of a range what the live graph said at its end. Of what it does not remember, or where judged
// is nil, the rule judges the range as a whole, and nobody is blamed.
func NewGraphReader(store GraphStore, rule health.Config, judged Chronicle) *GraphReader {
	r := &GraphReader{store: store, judged: judged}
	r.SetHealth(rule)
	return r
}

// SetHealth changes the rule, for graphs that are asked for from now on.
func (r *GraphReader) SetHealth(rule health.Config) { r.health.Store(&rule) }

// The time before a range, with which its latency is compared: as long as the
// range is, but not less than what the live graph compares with, and not so long that a
// slow drift hides in it.
const (
	leastBaseline = 5 * time.Minute
	mostBaseline  = time.Hour
)

// errRange says that a range is empty.
var errRange = errors.New("the range is empty: its end must be after its beginning")

// Graph is the graph of from (inclusive) to to (exclusive), with one window
// named "range", and with totals of that range alone. Nodes and edges that saw
// nothing in the range are not in it. It belongs to the caller.
//
// An edge's signals are of distinct requests in the range, as the live graph counts them: see topology/figures.go.
// Figures are exact at the times of samples, and as coarse as their spacing
// between them; the times at which an edge was first and last seen, as a chunk of
// samples, some minutes.
//
// Health, judgements, culprits and findings are those that the live graph had at the range's end. Where that is not known any more, health is
// judged by the range as a whole: its latency is compared with that of
// the time before it, five minutes to an hour by its own length.
//
// What it costs counts for the question that ctx belongs to; errors of ask.Ask are passed on.
func (r *GraphReader) Graph(ctx context.Context, from, to time.Time) (*telemetry.Graph, error) {
	bill := newGraphBill(ctx)
	d, err := r.draw(ctx, bill, from, to, nil)
	if err != nil {
		return nil, err
	}
	return r.whole(d, to, bill)
}

// draw reads what is in a range. also, unless it is nil, is given each series that counts, after it was drawn.
func (r *GraphReader) draw(ctx context.Context, bill *graphBill, from, to time.Time, also func(*drawing, labels.Labels, increase) error) (*drawing, error) {
	if !to.After(from) {
		return nil, fmt.Errorf("graph from %s to %s: %w", from.Format(time.RFC3339), to.Format(time.RFC3339), errRange)
	}
	start, end := from.UnixMilli(), to.UnixMilli()-1
	d := newDrawing(to.Sub(from).Seconds(), r.health.Load())
	if r.judged != nil {
		d.judged, d.known = r.judged.JudgedAt(to)
	}
	add := func(ls labels.Labels, inc increase) error {
		d.add(ls, inc)
		if also != nil {
			if err := also(d, ls, inc); err != nil {
				return err
			}
		}
		return bill.sum(inc.hist, d)
	}
	if err := r.increases(ctx, bill, d, start, end, nil, add); err != nil {
		return nil, err
	}
	if err := d.summarize(bill.one); err != nil {
		return nil, err
	}
	if d.compares {
		length := min(max(to.Sub(from), leastBaseline), mostBaseline)
		before := func(ls labels.Labels, inc increase) error {
			d.addBefore(ls, inc)
			return bill.sum(inc.hist, d)
		}
		if err := r.increases(ctx, bill, d, start-length.Milliseconds(), start, d.wantsBefore, before); err != nil {
			return nil, err
		}
	}
	return d, r.exemplars(ctx, bill, d, start, end)
}

// whole is the graph that was drawn.
func (r *GraphReader) whole(d *drawing, to time.Time, bill *graphBill) (*telemetry.Graph, error) {
	g, err := d.graph(to.UnixMilli(), bill.one)
	if err != nil {
		return nil, err
	}
	g.Incomplete = d.damaged
	if r.judged != nil {
		g.Findings = r.judged.FoundAt(to)
		if nodes, edges := telemetry.Places(g.Findings); len(g.Findings) > 0 {
			for i := range g.Nodes {
				g.Nodes[i].Findings = nodes[g.Nodes[i].ID]
			}
			for i := range g.Edges {
				g.Edges[i].Findings = edges[g.Edges[i].ID]
			}
		}
		keys := make([]telemetry.Node, len(g.Nodes))
		for i := range g.Nodes {
			keys[i] = d.nodes[g.Nodes[i].ID].node
		}
		for i, cluster := range r.judged.Clusters(keys) {
			g.Nodes[i].Cluster = cmp.Or(g.Nodes[i].Cluster, cluster)
		}
	}
	return g, nil
}

// increases calls add for each edge series that is wanted (nil: all are) and
// counted something from start to end, Unix ms, that was not taken back. The bill has what it costs, the drawing what could not be read.
func (r *GraphReader) increases(ctx context.Context, bill *graphBill, d *drawing, start, end int64, wanted func(labels.Labels) bool, add func(labels.Labels, increase) error) error {
	q, err := r.store.ChunkQuerier(start-lookback.Milliseconds(), end)
	if err != nil {
		return fmt.Errorf("graph from the series store: %w", err)
	}
	defer q.Close()
	hints := &storage.SelectHints{Start: start - lookback.Milliseconds(), End: end, DisableTrimming: true}
	taken, err := r.takenBack(ctx, bill, q, hints, start, end)
	if err != nil {
		return err
	}
	set := q.Select(ctx, false, hints,
		labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, canonical.Edge),
		labels.MustNewMatcher(labels.MatchEqual, canonical.Overflow, ""))
	var inc increaser
	for set.Next() {
		s := set.At()
		if wanted != nil && !wanted(s.Labels()) {
			continue
		}
		if err := bill.series(s.Labels()); err != nil {
			return fmt.Errorf("graph from the series store: %w", err)
		}
		inc.reset(start, end)
		if err := inc.read(s.Iterator(nil)); err != nil {
			return fmt.Errorf("graph from the series store: %s: %w", s.Labels(), err)
		}
		sum, err := inc.increase()
		if err == nil && taken != nil {
			err = sum.less(taken[s.Labels().Hash()])
		}
		if err != nil {
			return fmt.Errorf("graph from the series store: %s: %w", s.Labels(), err)
		}
		if sum.count() == 0 {
			continue
		}
		if err := add(s.Labels(), sum); err != nil {
			return fmt.Errorf("graph from the series store: %w", err)
		}
	}
	if err := set.Err(); err != nil {
		return fmt.Errorf("graph from the series store: %w", err)
	}
	d.lacks(set.Warnings())
	return nil
}

func (r *GraphReader) exemplars(ctx context.Context, bill *graphBill, d *drawing, start, end int64) error {
	q, err := r.store.ExemplarQuerier(ctx)
	if err != nil {
		return fmt.Errorf("exemplars from the series store: %w", err)
	}
	found, err := q.Select(start, end, []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, canonical.Edge)})
	if err != nil {
		return fmt.Errorf("exemplars from the series store: %w", err)
	}
	if err := bill.exemplars(found); err != nil {
		return fmt.Errorf("exemplars from the series store: %w", err)
	}
	for _, f := range found {
		d.example(f)
	}
	return nil
}

// lacks notes what could not be read, each file once.
func (d *drawing) lacks(warnings annotations.Annotations) {
	for _, w := range warnings {
		if lost, ok := errors.AsType[*seriesdb.Incomplete](w); ok && !slices.Contains(d.damaged, lost.Damage) {
			d.damaged = append(d.damaged, lost.Damage)
		}
	}
	slices.SortFunc(d.damaged, func(a, b telemetry.Damage) int { return strings.Compare(a.File, b.File) })
}
