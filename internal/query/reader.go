package query

import (
	"context"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A TraceStore is where spans and requests are kept.
//
// All methods are called concurrently, and must return soon after ctx is done.
type TraceStore interface {
	// Trace is all that is stored of one trace: its spans and its requests, and
	// nothing of any other trace, in any order. What a sender sent twice, because
	// its acknowledgement was lost, is there once. The batch belongs to the caller. An
	// error that is telemetry.ErrNotFound says that nothing is stored. damaged is what could not be read and may hold
	// some of the trace, with either.
	Trace(ctx context.Context, id telemetry.TraceID) (b *telemetry.Batch, damaged []telemetry.Damage, err error)

	// Search is the newest q.Limit traces that have a span within q's range of which its
	// filter holds, newest first; telemetry.Batch.SpanValues defines what a span's fields hold. The summaries
	// belong to the caller.
	Search(ctx context.Context, q telemetry.SpanQuery) ([]telemetry.TraceSummary, telemetry.SearchStats, error)

	// Services is every service of which spans are stored, in any order. The
	// caller does not change what it points to.
	Services(ctx context.Context) ([]telemetry.ServiceEntry, error)
}

// A DamageReader is a TraceStore that knows what of it cannot be read. A store need not be one.
type DamageReader interface {
	// Damaged is what is known not to be readable, by file.
	Damaged() []telemetry.Damage
}

// A LiveGraph is the service graph as it is now.
type LiveGraph interface {
	// Snapshot is the newest graph. It is never nil and never changes (I5); a
	// graph that differs has a greater Version and is another pointer.
	Snapshot() *telemetry.Graph

	// Changed is closed when the next snapshot is published. To miss none, take
	// the channel first and the snapshot after.
	Changed() <-chan struct{}
}

// A PastGraph is the service graph of any range that the series store holds.
type PastGraph interface {
	// Graph is the graph of from (inclusive) to to (exclusive), with one window
	// named "range" and with totals of that range alone. It belongs to the caller.
	Graph(ctx context.Context, from, to time.Time) (*telemetry.Graph, error)
}
