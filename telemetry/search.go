package telemetry

import (
	"errors"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// ErrNotFound says that the store holds nothing of what was asked for. Whoever reads a
// trace recognises it by errors.Is; HTTP answers 404.
var ErrNotFound = errors.New("not found")

// A SpanQuery says which traces to find: the newest with at least one span that began between From and To
// and of which the filter holds.
//
// Which relations spans must stand in to one another (a child of, a descendant of) will be said here, beside the filter: see
// the package filter.
type SpanQuery struct {
	Filter   filter.Filter
	From, To int64 // the span's start, Unix nanoseconds, To exclusive; 0 is open
	Limit    int   // traces wanted, newest first
}

// A TraceSummary is a trace as a search finds it.
type TraceSummary struct {
	TraceID       TraceID
	Start         int64 // Unix nanoseconds, of the earliest span
	Duration      int64 // nanoseconds, to the end of the latest
	RootService   string
	RootOperation string // "" where the root is not stored
	Spans, Errors int
	Services      []ServiceSpans // most spans first
}

// ServiceSpans is how many of a trace's spans a service has.
type ServiceSpans struct {
	Name  string
	Spans int
}

// SearchStats says what a search cost.
type SearchStats struct {
	Spans  int // looked at
	Blocks int // opened
	Pages  int // pages of columns read and decoded to tell which spans there are
	Took   time.Duration
	// Damaged is what could not be read, so that the answer may lack what it held; by file.
	Damaged []Damage
}

// Damage is a part of what is stored that cannot be read.
type Damage struct {
	File   string // or folder, in the store's own
	Reason string
}

// A ServiceEntry is a service that the trace store knows, with its operations.
type ServiceEntry struct {
	Name       string
	Namespace  string
	Operations []OperationEntry
}

// An OperationEntry is an operation of a service.
type OperationEntry struct {
	Name string
	Kind string // as SpanKind.String writes it
}

// A TagName is the key of an attribute that spans have, and the one scope in which they have it.
type TagName struct {
	Scope filter.Scopes
	Key   string
}

// A TagValue is a value of an attribute or of another field, written as text.
type TagValue struct {
	Type filter.Type
	Text string
}
