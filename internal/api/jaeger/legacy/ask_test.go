package legacy

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/internal/api/apitest"
	"github.com/binnacle-mesh/binnacle/internal/api/jaeger"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
)

func TestReadQuery(t *testing.T) {
	t.Parallel()
	noon := apitest.Noon()
	legacy, err := readQuery(params.Of(&url.URL{RawQuery: "service=cart&operation=GET+/cart&tags=" + url.QueryEscape(`{"error":"true","span.kind":"server","code":500}`) + "&tag=retry:false&minDuration=1.2s&maxDuration=3s&start=1795258800000000&end=1795262400000000&limit=5&lookback=custom"}), noon)
	if diff := cmp.Diff(apitest.Failed(t), legacy); diff != "" || err != nil {
		t.Errorf("legacy: %v (-want +got):\n%s", err, diff)
	}
	back, err := readQuery(params.Of(&url.URL{RawQuery: "lookback=2d"}), noon)
	if err != nil || back.From != noon.Add(-48*time.Hour).UnixNano() || back.Limit != jaeger.Limit {
		t.Errorf("lookback alone: %+v %v", back, err)
	}
}

// FuzzSearch: whatever a query says, it is refused by a name, or is a search that can be asked.
func FuzzSearch(f *testing.F) {
	for _, s := range apitest.Queries() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := readQuery(params.Of(&url.URL{RawQuery: raw}), apitest.Noon())
		apitest.CheckSearch(t, raw, q, err)
	})
}
