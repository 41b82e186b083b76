package aggregator

import (
	"context"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/internal/ask"
)

// What a past graph costs is counted while it is drawn, in the account of the question that it is for, as that of any other question is. Whoever
// asks and is no client (ask.Of is nil) is neither counted nor kept waiting.
//
// A series counts by its labels, which the store's reader holds, and by what it adds to the sums; an edge and a node by what they are while they
// are drawn, in the graph, and in the answer, where a share of their labels comes again.

const (
	edgeBytes     = 3 << 10
	nodeBytes     = 2 << 10
	exemplarBytes = 250
	// drawnBetween is how many edges or nodes are drawn between two looks at the time: a millisecond or two.
	drawnBetween = 32
)

// A graphBill is what a past graph has cost so far.
type graphBill struct {
	ask          *ask.Ask
	ctx          context.Context //nolint:containedctx // lives as long as the call
	nodes, edges int             // that were counted
	drawn        int
}

func newGraphBill(ctx context.Context) *graphBill { return &graphBill{ask: ask.Of(ctx), ctx: ctx} }

// series counts a series that is read, and lets others go first.
func (b *graphBill) series(ls labels.Labels) error {
	if err := b.ask.Yield(b.ctx); err != nil {
		return err
	}
	if b.ask == nil {
		return nil
	}
	return b.ask.Series(int64(ls.ByteSize()), 0)
}

// sum counts what a series added to a drawing.
func (b *graphBill) sum(h *histogram.FloatHistogram, d *drawing) error {
	if b.ask == nil {
		return nil
	}
	n := int64(len(d.edges)-b.edges)*edgeBytes + int64(len(d.nodes)-b.nodes)*nodeBytes
	b.edges, b.nodes = len(d.edges), len(d.nodes)
	if h != nil {
		n += int64(8*(len(h.PositiveBuckets)+len(h.NegativeBuckets)) + 8*(len(h.PositiveSpans)+len(h.NegativeSpans)))
	}
	return b.ask.Take(n)
}

// part counts a part of an edge, whose histograms are counted as its series are.
func (b *graphBill) part() error {
	if b.ask == nil {
		return nil
	}
	return b.ask.Take(edgeBytes / 2)
}

// exemplars counts those that were found.
func (b *graphBill) exemplars(found []exemplar.QueryResult) error {
	n := 0
	for _, f := range found {
		n += 1 + len(f.Exemplars)
	}
	return b.ask.Take(int64(n) * exemplarBytes)
}

// one lets others go first after some edges or nodes.
func (b *graphBill) one() error {
	if b.drawn++; b.drawn%drawnBetween != 0 {
		return nil
	}
	return b.ask.Yield(b.ctx)
}
