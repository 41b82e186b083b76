package query_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// tagStore is a store that lists attributes, and remembers what it was asked.
type tagStore struct {
	store
	from, to int64
	limit    int
	err      error
}

func (s *tagStore) TagNames(_ context.Context, scopes filter.Scopes, from, to int64, limit int) ([]telemetry.TagName, bool, error) {
	s.from, s.to, s.limit = from, to, limit
	return []telemetry.TagName{{Scope: scopes, Key: "zone"}}, true, s.err
}

func (s *tagStore) TagValues(_ context.Context, f filter.Field, from, to int64, limit int) ([]telemetry.TagValue, bool, error) {
	s.from, s.to, s.limit = from, to, limit
	return []telemetry.TagValue{{Text: f.Key}}, false, s.err
}

func TestTags(t *testing.T) {
	t.Parallel()
	s := &tagStore{}
	e := query.New(s, nil, nil, query.DefaultLimits())
	from, to := noon, noon.Add(time.Hour)
	ctx := t.Context()
	names, more, err := e.TagNames(ctx, filter.InResource, from, to, 9)
	if err != nil || !more || !cmp.Equal(names, []telemetry.TagName{{Scope: filter.InResource, Key: "zone"}}) || s.from != from.UnixNano() || s.to != to.UnixNano() || s.limit != 9 {
		t.Errorf("names %v %v %v, asked %+v", names, more, err, s)
	}
	zone := filter.Attribute(filter.InSpan, "zone")
	values, more, err := e.TagValues(ctx, zone, from, to, 3)
	if err != nil || more || len(values) != 1 || values[0].Text != "zone" || s.limit != 3 {
		t.Errorf("values %v %v %v, asked %+v", values, more, err, s)
	}
	invalid := func(what, field string, err error) {
		t.Helper()
		var fault *query.InvalidError
		if !errors.As(err, &fault) || fault.Field != field {
			t.Errorf("%s: %v, want a fault of %s", what, err, field)
		}
	}
	_, _, err = e.TagNames(ctx, filter.InSpan, from, to, 10_001)
	invalid("too many", "limit", err)
	_, _, err = e.TagValues(ctx, zone, to, from, 1)
	invalid("reversed", "from", err)
	s.err = &filter.Error{Field: "trace:id", Reason: "not listed"}
	_, _, err = e.TagValues(ctx, filter.TraceID.Field(), from, to, 1)
	invalid("a field that is not listed", "trace:id", err)
	_, _, err = query.New(&store{}, nil, nil, query.DefaultLimits()).TagNames(ctx, filter.InSpan, from, to, 1)
	invalid("a store that lists none", "tags", err)
}
