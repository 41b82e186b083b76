package v3

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/internal/api/apitest"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
)

func TestReadQuery(t *testing.T) {
	t.Parallel()
	attributes := url.QueryEscape(`{"otel.status_code":"ERROR","span.kind":"server","code":500,"retry":false}`)
	for _, q := range []string{
		"query.service_name=cart&query.operation_name=GET+/cart&query.attributes=" + attributes + "&query.start_time_min=2026-11-21T11:00:00Z&query.start_time_max=2026-11-21T12:00:00Z&query.duration_min=1.2s&query.duration_max=3s&query.search_depth=5",
		"query.serviceName=cart&query.operationName=GET+/cart&query.attributes=" + attributes + "&query.startTimeMin=2026-11-21T11:00:00Z&query.startTimeMax=2026-11-21T13:00:00+01:00&query.durationMin=1.2s&query.durationMax=3s&query.num_traces=5&query.rawTraces=true",
	} {
		got, err := readQuery(params.Of(&url.URL{RawQuery: q}))
		if diff := cmp.Diff(apitest.Failed(t), got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", q, err, diff)
		}
	}
}

// FuzzSearch: whatever a query says, it is refused by a name, or is a search that can be asked.
func FuzzSearch(f *testing.F) {
	for _, s := range apitest.Queries() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := readQuery(params.Of(&url.URL{RawQuery: raw}))
		apitest.CheckSearch(t, raw, q, err)
	})
}
