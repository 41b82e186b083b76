package binnacle

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/internal/api/apitest"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestReadSpanQuery(t *testing.T) {
	t.Parallel()
	noon := apitest.Noon()
	got, err := readSpanQuery(params.Of(&url.URL{RawQuery: "service=cart&namespace=shop&operation=GET+%2Fcart&kind=server&attribute=a%3Db%3Dc&attribute=d%3D&min_duration=5ms&max_duration=1d&status=error&from=1795258800000&to=2026-11-21T11:30:00%2B00:00&limit=7"}), noon)
	form := query.Form{
		Service: "cart", Namespace: "shop", Operation: "GET /cart", Kind: "server", Status: "error",
		Attributes:  []query.AttributeMatch{{Key: "a", Value: "b=c"}, {Key: "d", Value: ""}},
		MinDuration: 5 * time.Millisecond, MaxDuration: 24 * time.Hour,
	}
	want := telemetry.SpanQuery{Filter: apitest.Tree(t, form), From: noon.Add(-time.Hour).UnixNano(), To: noon.Add(-30 * time.Minute).UnixNano(), Limit: 7}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	got, err = readSpanQuery(params.Of(&url.URL{}), noon)
	want = telemetry.SpanQuery{From: noon.Add(-time.Hour).UnixNano(), To: noon.UnixNano(), Limit: defaultLimit}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("of nothing: %v (-want +got):\n%s", err, diff)
	}
}

// FuzzSearch: whatever a query says, it is refused by a name, or is a search that can be asked.
func FuzzSearch(f *testing.F) {
	for _, s := range apitest.Queries() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := readSpanQuery(params.Of(&url.URL{RawQuery: raw}), apitest.Noon())
		apitest.CheckSearch(t, raw, q, err)
	})
}
