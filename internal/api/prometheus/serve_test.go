package prometheus

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Whatever text a client sends to be parsed is looked at first, on each path and by each method.
func TestTextIsLookedAt(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t)
	deep := strings.Repeat("(", 60_000)
	for _, c := range []struct {
		path, param string
		post        bool
	}{
		{"/api/v1/query", "query", false},
		{"/api/v1/query", "query", true},
		{"/api/v1/query_range", "query", true},
		{"/api/v1/query_exemplars", "query", true},
		{"/api/v1/format_query", "query", true},
		{"/api/v1/parse_query", "query", true},
		{"/api/v1/series", "match[]", true},
		{"/api/v1/labels", "match[]", true},
		{"/api/v1/label/job/values", "match[]", false},
	} {
		code, body := get(t, srv, c.path, url.Values{c.param: {deep}, "start": {"1"}, "end": {"2"}, "step": {"1"}}, c.post)
		if code != http.StatusBadRequest || !strings.Contains(body, "100 brackets") || !strings.Contains(body, `"bad_data"`) {
			t.Errorf("%s: %d %.200s", c.path, code, body)
		}
	}
	if code, body := get(t, srv, "/api/v1/query", url.Values{"query": {`max_over_time(up[10y:1ms])`}}, true); code != http.StatusBadRequest || !strings.Contains(body, "max_steps") {
		t.Errorf("a subquery of too many steps: %d %.200s", code, body)
	}
}
