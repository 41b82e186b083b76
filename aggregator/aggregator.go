package aggregator

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// An Aggregator keeps the canonical series.
//
// The problem: count each span and each hop once, at a cost of some hundred
// nanoseconds, in memory that no sender can make grow, so that a crash and a replay
// change no figure.
//
// Invariants:
//   - Everything but the bookkeeping of what was written to the store is a
//     function of the log's entries up to applied (I2, I6). Series leave memory by
//     log time, in Consume, not by the wall's clock in Flush.
//   - The sum of the counts of all operations ever, overflow and those that left
//     included, is the number of spans consumed; likewise for edges.
//   - live, the number of series that the limit counts, is at most cfg.MaxSeries;
//     the overflow series, one an outcome and status, come on top. Who is let in, and who leaves: crowd.go.
//
// The way of a span: its resource and name are looked up in a table that lives
// for the batch (spanTable); only the first span of each kind in a batch goes
// through folding and the process-wide map. The way of an observation: the edge's
// pointer is looked up, and its variants, few, are searched.
//
// Not chosen: sketches that merge any two scales (DDSketch): Prometheus' native
// histograms have a fixed scale anyway; sharding by service over goroutines: one
// goroutine is far from busy (see the benchmarks), and order would be lost.
//
// All methods but Findings are for one goroutine at a time: the one that delivers the log.
type Aggregator struct {
	cfg     Config
	metrics metrics

	applied  telemetry.Position // whose spans are counted
	observed telemetry.Position // whose observations are counted
	now      int64              // log time: the greatest Batch.Received so far
	sweepAt  int64              // log time of the next search for idle series

	live       int
	bytes      int64 // of the labels of those
	crowd      crowd
	services   map[serviceKey]*service
	operations map[operationKey]*operation
	opOrder    []*operation // as they were made
	edges      edgeTable
	byPointer  map[*telemetry.Edge]*edge
	edgeOrder  []*edge // as they were made

	opOverflow   [statuses][outcomes]*series // made when needed
	edgeOverflow [outcomes]*series

	spans   spanTable
	scratch []byte

	flushed int64     // Unix ms of the newest flush, 0: none by this process
	making  int64     // Unix ms from which on a series that is made now may be in the store; see replayed.go
	stale   []*series // left memory; the next flush marks their end in the store
	folded  [folds]uint64

	refused  map[serviceKey]*refusal // since the newest flush
	found    map[serviceKey]*refusal
	findings atomic.Pointer[[]telemetry.Finding] // as of the newest flush
}

// New makes an empty aggregator. cfg must be valid. Its own metrics go to reg,
// which must not hold them yet.
func New(cfg Config, reg prometheus.Registerer) *Aggregator {
	return &Aggregator{
		cfg:        cfg,
		crowd:      newCrowd(&cfg),
		services:   map[serviceKey]*service{},
		operations: map[operationKey]*operation{},
		edges:      newEdgeTable(),
		byPointer:  map[*telemetry.Edge]*edge{},
		metrics:    newMetrics(reg),
	}
}

// Consume counts the spans of an entry. It implements [telemetry.Sink] and
// returns no error. What the graph observed in the entry follows by Observe, which
// dates it by the entry.
func (a *Aggregator) Consume(e telemetry.Entry) error {
	if e.Position <= a.applied {
		return nil
	}
	a.applied = e.Position
	before := a.now
	a.now = max(a.now, e.Batch.Received)
	a.makeFrom(a.now)
	a.consumeSpans(e.Batch)
	a.sweep()
	a.makeRoom()
	a.makeFrom(before) // what is observed next may have been observed before this entry came, when it was new
	a.metrics.spans.Add(float64(len(e.Batch.Spans)))
	a.publish()
	return nil
}

// Applied is the position of the newest entry that the state contains.
func (a *Aggregator) Applied() telemetry.Position { return a.applied }

// Len is how many series are in memory, overflow left out.
func (a *Aggregator) Len() int { return a.live }
