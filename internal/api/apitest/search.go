package apitest

import (
	"errors"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// Queries are queries of requests with what is hard to read, to begin fuzzing from.
func Queries() []string {
	return []string{
		"", "limit=1&from=1&to=2", "start=1e18&end=9223372036854775807", "lookback=100000d", "min_duration=-1s", "tags={\"a\":null}", "tag=a:b:c",
		"query.startTimeMin=2026-11-21T11:00:00 01:00&query.startTimeMax=9999-12-31T23:59:59Z", "query.attributes={}&query.durationMin=1ns",
	}
}

// CheckSearch holds what a dialect made of a query to what each must: it is refused by the name of a parameter, or is
// a search that can be asked, with times in order of what an int64 holds and durations not negative.
func CheckSearch(t *testing.T, raw string, q telemetry.SpanQuery, err error) {
	t.Helper()
	var invalid *query.InvalidError
	switch {
	case err != nil && (!errors.As(err, &invalid) || invalid.Field == "" || invalid.Reason == ""):
		t.Fatalf("%q: the error names nothing: %v", raw, err)
	case err == nil && (q.Limit < 1 || q.To < 0):
		t.Fatalf("%q: %+v", raw, q)
	}
}

// Failed is the search for failed calls of cart of the last hour, as both of Jaeger's APIs can ask it.
func Failed(t *testing.T) telemetry.SpanQuery {
	t.Helper()
	form := query.Form{
		Service: "cart", Operation: "GET /cart", Kind: "server", Status: "error",
		Attributes:  []query.AttributeMatch{{Key: "code", Value: "500"}, {Key: "retry", Value: "false"}},
		MinDuration: 1200 * time.Millisecond, MaxDuration: 3 * time.Second,
	}
	return telemetry.SpanQuery{Filter: Tree(t, form), From: Noon().Add(-time.Hour).UnixNano(), To: Noon().UnixNano(), Limit: 5}
}

// Tree is a form that can be asked as a tree.
func Tree(t *testing.T, f query.Form) filter.Filter {
	t.Helper()
	tree, err := f.Filter()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}
