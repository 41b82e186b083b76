package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

type graphAnswer struct {
	Origin string
	Nodes  []struct {
		ID, Cluster string
		Windows     map[string]telemetry.Signals
	}
	Edges []struct {
		ID     string
		Totals struct{ Requests, Errors int }
	}
}

func (a *graphAnswer) said() string {
	var out []string
	for _, n := range a.Nodes {
		out = append(out, n.ID)
	}
	return strings.Join(out, " ")
}

// The graph answers by groups, and what an expression means of it, live and past; what cannot be asked is refused with the reason.
func TestGroupsAndExpressions(t *testing.T) {
	t.Parallel()
	s := newSurfaces(t)
	for range 24 {
		s.send(10, call{from: "front", to: "cart", name: "GET /", took: 20 * time.Millisecond, attrs: "http.request.method=GET http.response.status_code:=200", cluster: "east"})
		s.send(5, call{from: "cart", to: "stock", name: "GET /", took: 90 * time.Millisecond, attrs: "http.request.method=GET http.response.status_code:=503", failed: true, cluster: "west"})
		s.pass(5 * time.Second)
	}
	s.pass(30 * time.Second)
	d := s.dialect()
	past := "from=" + s.now.Add(-5*time.Minute).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		ask, origin, nodes string
		requests           int
	}{
		{"", "live", "client:unknown shop/cart shop/front shop/stock", -1},
		{past, "series", "shop/cart shop/front shop/stock", 360},
		{"group=namespace", "series", "namespace:shop", 360},
		{"group=namespace&" + past, "series", "namespace:shop", 360},
		{"group=cluster", "series", "cluster:east cluster:west", 360},
		{"group=version", "series", "shop/cart shop/front shop/stock", 360},
		{"group=app", "series", "app:shop/cart app:shop/front app:shop/stock", 360},
		{"find=name+=+cart", "live", "shop/cart", 0},
		{"hide=name+=+cart&" + past, "series", "shop/front shop/stock", 0},
		{"find=%25err+>+50&" + past, "series", "shop/cart shop/stock", 120},
		{"find=rt+<+50&" + past, "series", "shop/cart shop/front", 240},
		{"group=app&find=name+=+cart", "series", "app:shop/cart", 0},
		{"find=ns+=+shop&focus=shop/stock&depth=1", "live", "shop/cart shop/stock", 120},
	} {
		var a graphAnswer
		s.get(d, "/api/v1/graph?"+c.ask, &a)
		requests := 0
		for _, e := range a.Edges {
			requests += e.Totals.Requests
		}
		got := strings.TrimPrefix(a.said(), "client:unknown ")
		if want := strings.TrimPrefix(c.nodes, "client:unknown "); a.Origin != c.origin || got != want || c.requests >= 0 && requests != c.requests {
			t.Errorf("%s: %s graph of %q with %d requests, want %s, %q, %d", c.ask, a.Origin, got, requests, c.origin, want, c.requests)
		}
	}
	for ask, want := range map[string]string{
		"group=galaxy":              "is none of service, cluster",
		"find=nome+=+cart":          "is no operand",
		"hide=vs":                   "configuration of the mesh",
		"group=app&fold=auto":       "is not folded",
		"find=idle&window=1y":       "is none of 1s",
		"group=app&find=idle&from=": "",
	} {
		for _, r := range d.Routes() {
			if r.Pattern != "GET /api/v1/graph" {
				continue
			}
			_, err := r.Answer(httptest.NewRequest(http.MethodGet, "/api/v1/graph?"+ask, nil))
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %v, want %q", ask, err, want)
			}
		}
	}
}
