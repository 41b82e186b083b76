package query

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A Trace is one trace, whole and in order.
type Trace struct {
	ID    telemetry.TraceID
	Batch *telemetry.Batch
	// Spans and Requests are indices into the batch's, by start; at the same
	// start the longer comes first, so that a parent mostly precedes its children.
	Spans    []int
	Requests []int
	// Start and End are those of the earliest and the latest span, or of the
	// requests where there is no span, in Unix nanoseconds.
	Start, End int64
	// Damaged is what could not be read and may hold more of the trace.
	Damaged []telemetry.Damage
}

// Trace is the trace of that id. An error that is telemetry.ErrNotFound says
// that nothing of it is stored.
func (e *Engine) Trace(ctx context.Context, id telemetry.TraceID) (*Trace, error) {
	b, damaged, err := e.traces.Trace(ctx, id)
	switch {
	case errors.Is(err, telemetry.ErrNotFound) || err == nil && b.Len() == 0:
		if len(damaged) > 0 {
			return nil, fmt.Errorf("trace %s: %w; but it may be in what cannot be read: %s", id, telemetry.ErrNotFound, Lacks(damaged))
		}
		return nil, fmt.Errorf("trace %s: %w", id, telemetry.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("read a trace: %w", err)
	}
	t := NewTrace(id, b)
	t.Damaged = damaged
	return t, nil
}

// NewTrace puts a batch that holds one trace in order.
func NewTrace(id telemetry.TraceID, b *telemetry.Batch) *Trace {
	t := &Trace{ID: id, Batch: b, Spans: indices(len(b.Spans)), Requests: indices(len(b.Requests))}
	slices.SortStableFunc(t.Spans, func(i, j int) int {
		x, y := &b.Spans[i], &b.Spans[j]
		return cmp.Or(cmp.Compare(x.Start, y.Start), cmp.Compare(y.Duration, x.Duration))
	})
	slices.SortStableFunc(t.Requests, func(i, j int) int {
		x, y := &b.Requests[i], &b.Requests[j]
		return cmp.Or(cmp.Compare(x.Start, y.Start), cmp.Compare(y.Duration, x.Duration))
	})
	for n, i := range t.Spans {
		t.cover(n == 0, b.Spans[i].Start, b.Spans[i].Duration)
	}
	if len(t.Spans) == 0 {
		for n, i := range t.Requests {
			t.cover(n == 0, b.Requests[i].Start, b.Requests[i].Duration)
		}
	}
	return t
}

func indices(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

func (t *Trace) cover(first bool, start, duration int64) {
	if first {
		t.Start, t.End = start, start+duration
		return
	}
	t.Start, t.End = min(t.Start, start), max(t.End, start+duration)
}

// Found is the answer to a search for whole traces.
type Found struct {
	// Summaries is what the search found, newest first; Traces[i] is the whole
	// of Summaries[i], or nil where it was left out: because the answer would have
	// grown beyond Limits.Spans, or because retention dropped it just now.
	Summaries []telemetry.TraceSummary
	Traces    []*Trace
	// LeftOut is how many were left out for the answer's size.
	LeftOut int
	// Damaged is what could not be read, so that there may be more traces, or more of these.
	Damaged []telemetry.Damage
}

// SearchWhole is Search with the spans of each trace found.
func (e *Engine) SearchWhole(ctx context.Context, q telemetry.SpanQuery) (Found, error) {
	summaries, stats, err := e.Search(ctx, q)
	if err != nil {
		return Found{}, err
	}
	f := Found{Summaries: summaries, Traces: make([]*Trace, len(summaries)), Damaged: stats.Damaged}
	room := e.limits.Spans
	for i, s := range summaries {
		if room <= 0 || i > 0 && s.Spans > room {
			f.LeftOut++
			continue
		}
		t, err := e.Trace(ctx, s.TraceID)
		if errors.Is(err, telemetry.ErrNotFound) {
			continue
		}
		if err != nil {
			return Found{}, err
		}
		room -= len(t.Spans)
		f.Traces[i] = t
		f.Damaged = append(f.Damaged, t.Damaged...)
	}
	slices.SortFunc(f.Damaged, func(a, b telemetry.Damage) int { return cmp.Compare(a.File, b.File) })
	f.Damaged = slices.CompactFunc(f.Damaged, func(a, b telemetry.Damage) bool { return a.File == b.File })
	return f, nil
}

// A ServiceShare is a service's part in a trace.
type ServiceShare struct {
	Name          string
	Spans, Errors int
}

// Shares is each service's part in the trace, by name, and how many spans are
// orphans: their parent is not in the trace.
func (t *Trace) Shares() (shares []ServiceShare, orphans int) {
	ids := make([]telemetry.SpanID, 0, len(t.Spans))
	for _, i := range t.Spans {
		ids = append(ids, t.Batch.Spans[i].SpanID)
	}
	slices.SortFunc(ids, compareSpanIDs)
	at := map[string]int{}
	for _, i := range t.Spans {
		s := &t.Batch.Spans[i]
		name := t.Service(s)
		n, ok := at[name]
		if !ok {
			n = len(shares)
			at[name] = n
			shares = append(shares, ServiceShare{Name: name})
		}
		shares[n].Spans++
		if s.Status == telemetry.StatusError {
			shares[n].Errors++
		}
		if _, ok := slices.BinarySearchFunc(ids, s.ParentID, compareSpanIDs); !ok && !s.ParentID.IsZero() {
			orphans++
		}
	}
	slices.SortFunc(shares, func(a, b ServiceShare) int { return cmp.Compare(a.Name, b.Name) })
	return shares, orphans
}

func compareSpanIDs(a, b telemetry.SpanID) int { return bytes.Compare(a[:], b[:]) }

// UnknownService names the service of a span whose sender did not say. It is
// the name that OpenTelemetry's resource conventions give.
const UnknownService = "unknown_service"

func nameUnknown(service *string) {
	if *service == "" {
		*service = UnknownService
	}
}

// Service is the name of the service that a span comes from. It is valid as
// long as the trace's batch is.
func (t *Trace) Service(s *telemetry.Span) string {
	return ServiceOf(t.Batch, s.Resource)
}

// ServiceOf is the service's name by a resource of the batch.
func ServiceOf(b *telemetry.Batch, resource uint32) string {
	r := &b.Resources[resource]
	if name := b.Str(r.Identity.Service); name != "" {
		return name
	}
	for _, a := range b.AttrsOf(r.Attrs) {
		if a.Key == telemetry.KeyServiceName && a.Type == telemetry.AttrString && a.Value != 0 {
			return b.Str(a.String())
		}
	}
	return UnknownService
}
