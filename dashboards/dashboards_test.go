package dashboards

import (
	"maps"
	"math"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/internal/shelf"
)

func load(t *testing.T) []*Dashboard {
	t.Helper()
	ds, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(ds) != 4 {
		t.Fatalf("%d dashboards", len(ds))
	}
	return ds
}

// Dashboards import into a current Grafana: ids are unique, panels are of kinds
// that still exist, lie within the grid and not upon one another.
func TestLayout(t *testing.T) {
	t.Parallel()
	kinds := []string{"row", "stat", "timeseries", "heatmap", "table"}
	for _, d := range load(t) {
		ids := map[int]bool{}
		panels := d.AllPanels()
		if d.UID == "" || d.Title == "" || len(panels) < 10 {
			t.Errorf("%s has uid %q, title %q, %d panels", d.File, d.UID, d.Title, len(panels))
		}
		if v := d.Templating.List[0]; v.Name != "datasource" || v.Type != "datasource" {
			t.Errorf("%s: the first variable is %s", d.File, v.Name)
		}
		for i, p := range panels {
			if ids[p.ID] || !slices.Contains(kinds, p.Type) {
				t.Errorf("%s: panel %d %q is there twice or of kind %q", d.File, p.ID, p.Title, p.Type)
			}
			ids[p.ID] = true
			g := p.GridPos
			if g.W == 0 || g.H == 0 || g.X+g.W > 24 {
				t.Errorf("%s: panel %q lies at %+v", d.File, p.Title, g)
			}
			for _, q := range panels[:i] {
				o := q.GridPos
				if g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H {
					t.Errorf("%s: panel %q lies upon %q", d.File, p.Title, q.Title)
				}
			}
		}
	}
}

func TestSubstitute(t *testing.T) {
	t.Parallel()
	values := map[string]string{"ns": "shop", "a": "x"}
	for in, want := range map[string]string{
		`{n="$ns"}[$__rate_interval]`:               `{n="shop"}[1m]`,
		`{n=~"${ns:regex}",m="[[a]]"}`:              `{n=~"shop",m="x"}`,
		`{n=~"$other"}[5m]`:                         `{n=~".*"}[5m]`,
		`label_replace(x, "a", "$1", "b", "(.*)$")`: `label_replace(x, "a", "$1", "b", "(.*)$")`,
		`$`: `$`,
	} {
		if got := Substitute(in, values); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

// choose gives the variables of a dashboard the values that a reader would:
// the busiest service, and the busiest edge between services of which it is known
// whether it is under TLS.
func choose(t *testing.T, c *client) map[string]string {
	t.Helper()
	service, err := c.top(`sum by (destination) (histogram_count(rate(binnacle_edge_duration_seconds{destination_kind="service",source_kind="service"}[1m])))`)
	if err != nil {
		t.Fatal(err)
	}
	edge, err := c.top(`sum by (source, destination) (histogram_count(rate(binnacle_edge_duration_seconds{tls!="",source_kind="service"}[1m])))`)
	if err != nil {
		t.Fatalf("no edge of which the security is known (the demo mesh has some): %v", err)
	}
	return map[string]string{
		"namespace": ".*", "service": service["destination"], "source": edge["source"], "destination": edge["destination"],
	}
}

// check runs every variable and every expression of every panel. Those that
// quiet names need not have data; none may be an error.
func check(t *testing.T, c *client, quiet func(Expression) bool) {
	t.Helper()
	values := choose(t, c)
	n := 0
	for _, d := range load(t) {
		for _, v := range d.Templating.List {
			if v.Type != "query" {
				continue
			}
			if vs, err := c.labelValues(Substitute(v.QueryText(), values)); err != nil || len(vs) == 0 {
				t.Errorf("%s, variable %s: %d values, %v", d.Title, v.Name, len(vs), err)
			}
		}
		for _, e := range d.Expressions(values) {
			n++
			a, err := c.run(e.PromQL, e.Instant)
			switch {
			case err != nil:
				t.Errorf("%s\n%v", e, err)
			case !a.hasData() && !e.Seldom && !quiet(e):
				t.Errorf("%s\nhas no data", e)
			}
		}
	}
	t.Logf("%d expressions ran", n)
}

// TestExpressions runs them against an aggregator that a small mesh feeds. The
// rooms that are not here have no metrics; their expressions need only be valid.
func TestExpressions(t *testing.T) {
	t.Parallel()
	elsewhere := regexp.MustCompile(`binnacle_(collector|wal|pipeline|topology|block|quota|api)_`)
	check(t, startMesh(t), func(e Expression) bool { return elsewhere.MatchString(e.PromQL) })
}

// What a panel divides by a label of the requests sums to what the panel beside it shows undivided, though not all witnesses tell that label: spans of
// the mesh know neither the callee's version nor flags.
func TestPartsSumToTheWhole(t *testing.T) {
	t.Parallel()
	c := startMesh(t)
	values := choose(t, c)
	sum := func(expr string) float64 {
		a, err := c.run("sum("+expr+")", true)
		if err != nil || len(a.Data.Result) != 1 {
			t.Fatalf("%s: %v, %v", expr, a, err)
		}
		v, err := strconv.ParseFloat(strings.Trim(string(a.Data.Result[0].Value[1]), `"`), 64)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		return v
	}
	divided := regexp.MustCompile(`^sum by \((outcome|code|flags|(source_version, )?destination_version)\)`)
	n := 0
	for _, d := range load(t) {
		whole := ""
		for _, e := range d.Expressions(values) {
			switch {
			case e.Panel == "Requests" && whole == "":
				whole = e.PromQL
			case divided.MatchString(e.PromQL) && strings.Contains(e.PromQL, canonical.Edge):
				n++
				if got, want := sum(e.PromQL), sum(whole); math.Abs(got-want) > 1e-9*want {
					t.Errorf("%s\nsums to %v, the whole is %v", e, got, want)
				}
			}
		}
	}
	if n < 8 {
		t.Errorf("only %d panels are divided", n)
	}
}

// TestLive runs them against a running server, where each must return data.
func TestLive(t *testing.T) {
	t.Parallel()
	base := os.Getenv("BINNACLE_URL")
	if base == "" {
		t.Skip("SKIPPED, AND NOT PROVEN HERE (test/e2e does it): BINNACLE_URL is not set: no running Binnacle to ask (for example http://127.0.0.1:8700, with make demo)")
	}
	c := &client{base: strings.TrimSuffix(base, "/"), now: time.Now(), span: 2 * time.Minute}
	check(t, c, func(Expression) bool { return false })
}

// parseAll reads peers' dashboards, which were written for other tools' metrics. Those in testdata are ours; Istio's own, of 1.4 and
// of today, lie on the shelf.
func parseAll(t *testing.T, files map[string][]byte) []*Dashboard {
	t.Helper()
	var out []*Dashboard
	for _, name := range slices.Sorted(maps.Keys(files)) {
		d, err := Parse(path.Base(path.Dir(name))+"/"+path.Base(name), files[name])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

// peerValues are those of the variables in peers' dashboards.
func peerValues() map[string]string {
	return map[string]string{
		"service": "cart.shop.svc.cluster.local", "namespace": "shop", "workload": "cart-v1|cart-v2", "adhoc": "",
	}
}

// Dashboards that we wrote for the metrics of Istio, of Tempo and of OpenTelemetry's connectors, after their documentation:
// every variable has values and every expression has data.
func TestPeersDashboards(t *testing.T) {
	t.Parallel()
	c, ran := startMesh(t), 0
	for _, d := range parseAll(t, shelf.Own(t, "peers")) {
		for _, v := range d.Templating.List {
			if q := v.QueryText(); v.Type == "query" && strings.HasPrefix(q, "label_values") {
				if values, err := c.labelValues(Substitute(q, peerValues())); err != nil || len(values) == 0 {
					t.Errorf("%s, variable %s: %d values, %v", d.Title, v.Name, len(values), err)
				}
			}
		}
		for _, e := range d.Expressions(peerValues()) {
			ran++
			if a, err := c.run(e.PromQL, e.Instant); err != nil || !a.hasData() {
				t.Errorf("%s: %s\nhas no data, %v", d.File, e, err)
			}
		}
	}
	if ran < 30 {
		t.Errorf("only %d expressions ran", ran)
	}
}

// Istio's Mesh, Service and Workload dashboards work unchanged: every expression
// is understood, and those about requests and their duration have data.
func TestIstiosDashboards(t *testing.T) {
	t.Parallel()
	files, ok := shelf.Others(t, shelf.PeerConfigs, func(name string) bool {
		return strings.Contains(name, "dashboards/istio-") && path.Ext(name) == ".json"
	})
	if !ok {
		return
	}
	ds, values := parseAll(t, files), peerValues()
	c := startMesh(t)
	served := regexp.MustCompile(`istio_requests_total|istio_request_duration_milliseconds`)
	// The source side does not know the policy: Istio itself says "unknown" there, and
	// these of its panels are empty on any Istio.
	empty := regexp.MustCompile(`reporter="source", ?connection_security_policy="mutual_tls"|connection_security_policy="mutual_tls".*reporter="source"`)
	pages := regexp.MustCompile(`istio-(mesh|service|workload)`)
	parse := parser.NewParser(parser.Options{})
	ran := 0
	for _, d := range ds {
		for _, e := range d.Expressions(values) {
			if strings.Contains(e.PromQL, "istio_build") || strings.TrimSpace(e.PromQL) == "" {
				continue
			}
			if _, err := parse.ParseExpr(e.PromQL); err != nil {
				t.Errorf("%s: %s\n%v", d.File, e, err)
				continue
			}
			if !served.MatchString(e.PromQL) || empty.MatchString(e.PromQL) || !pages.MatchString(path.Base(d.File)) {
				continue
			}
			ran++
			a, err := c.run(e.PromQL, true)
			if err != nil || !a.hasData() {
				t.Errorf("%s: %s\nhas no data, %v", d.File, e, err)
			}
		}
	}
	if ran < 100 {
		t.Errorf("only %d expressions ran", ran)
	}
	t.Logf("%d expressions of %d dashboards have data", ran, len(ds))
}
