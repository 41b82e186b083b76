package query

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// A TagReader is a TraceStore that can also say which attributes there are and what values they have, for pages and query
// languages that complete what somebody types. A store need not be one.
type TagReader interface {
	// TagNames is the keys of attributes in any of the scopes, by scope and then key, of spans that began between from and to
	// (Unix nanoseconds, to exclusive); a store may add what it has close by. At most limit; more says that there are others.
	TagNames(ctx context.Context, scopes filter.Scopes, from, to int64, limit int) (names []telemetry.TagName, more bool, err error)

	// TagValues is the values of a field, by type and then text, under the same terms. A field whose values it does not list
	// is a *filter.Error.
	TagValues(ctx context.Context, f filter.Field, from, to int64, limit int) (values []telemetry.TagValue, more bool, err error)
}

// TagNames is the keys of the attributes that spans of a range have in any of the scopes: at most limit, and more says that there are
// others.
func (e *Engine) TagNames(ctx context.Context, scopes filter.Scopes, from, to time.Time, limit int) (names []telemetry.TagName, more bool, err error) {
	r, err := e.tagReader(from, to, limit)
	if err != nil {
		return nil, false, err
	}
	names, more, err = r.TagNames(ctx, scopes, from.UnixNano(), to.UnixNano(), limit)
	if err != nil {
		return nil, false, fmt.Errorf("list attributes: %w", err)
	}
	return names, more, nil
}

// TagValues is the values that a field has in spans of a range: at most limit, and more says that there are others.
func (e *Engine) TagValues(ctx context.Context, f filter.Field, from, to time.Time, limit int) (values []telemetry.TagValue, more bool, err error) {
	r, err := e.tagReader(from, to, limit)
	if err != nil {
		return nil, false, err
	}
	values, more, err = r.TagValues(ctx, f, from.UnixNano(), to.UnixNano(), limit)
	var bad *filter.Error
	switch {
	case errors.As(err, &bad):
		return nil, false, &InvalidError{bad.Field, bad.Reason}
	case err != nil:
		return nil, false, fmt.Errorf("list values of %s: %w", f, err)
	}
	return values, more, nil
}

// tagReader is the store, where it lists attributes and what is asked is right.
func (e *Engine) tagReader(from, to time.Time, limit int) (TagReader, error) {
	if limit < 1 || limit > e.limits.Tags {
		return nil, &InvalidError{"limit", fmt.Sprintf("%d is not between 1 and %d", limit, e.limits.Tags)}
	}
	if err := e.checkRange(from, to); err != nil {
		return nil, err
	}
	r, ok := e.traces.(TagReader)
	if !ok {
		return nil, &InvalidError{"tags", "the trace store that this server uses does not list attributes"}
	}
	return r, nil
}
