package graphfilter

import (
	"slices"
	"strings"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func shop() *telemetry.Graph {
	p := func(ms float64) *float64 { return &ms }
	window := func(rate, errors float64, p90 *float64) map[string]telemetry.Signals {
		return map[string]telemetry.Signals{"1m": {Rate: rate, ErrorRate: errors, P50: p90, P90: p90, P99: p90}}
	}
	return &telemetry.Graph{
		Nodes: []telemetry.GraphNode{
			{ID: "shop/cart", Name: "cart", Namespace: "shop", Cluster: "east", Kind: telemetry.NodeService, Versions: []string{"v1", "v2"}, Health: telemetry.HealthFailing, Judgement: telemetry.Judgement{Kind: telemetry.AilmentFailing}},
			{ID: "shop/front", Name: "front", Namespace: "shop", Kind: telemetry.NodeService, Health: telemetry.HealthDegraded, Judgement: telemetry.Judgement{Kind: telemetry.AilmentSlow, Because: "shop/cart"}},
			{ID: "bank/pay", Name: "pay", Namespace: "bank", Kind: telemetry.NodeService, Health: telemetry.HealthOK},
			{ID: "external:api.example", Name: "api.example", Kind: telemetry.NodeExternal, Health: telemetry.HealthIdle},
		},
		Edges: []telemetry.GraphEdge{
			{ID: "a", Source: "shop/front", Target: "shop/cart", Protocol: telemetry.ProtocolHTTP, MTLS: 1, Windows: window(90, 9, p(600))},
			{ID: "b", Source: "shop/front", Target: "bank/pay", Protocol: telemetry.ProtocolHTTP, MTLS: -1, Windows: window(10, 0, p(20))},
			{ID: "c", Source: "shop/cart", Target: "bank/pay", Protocol: telemetry.ProtocolGRPC, MTLS: 0.5, Windows: window(5, 1, p(30))},
			{ID: "d", Source: "bank/pay", Target: "external:api.example", Protocol: telemetry.ProtocolTCP, MTLS: -1, Windows: window(0, 0, nil)},
		},
		Culprits: []string{"shop/cart"},
	}
}

// left is what find and hide leave, as names of nodes and ids of edges.
func left(t *testing.T, find, hide string) string {
	t.Helper()
	parse := func(s string) *Filter {
		if s == "" {
			return nil
		}
		f, err := Parse(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		return f
	}
	g := Apply(shop(), "1m", parse(find), parse(hide))
	var out []string
	for _, n := range g.Nodes {
		name, _, _ := strings.Cut(n.Name, ".")
		out = append(out, name)
	}
	slices.Sort(out)
	for _, e := range g.Edges {
		out = append(out, e.ID)
	}
	return strings.Join(out, " ")
}

func TestFindAndHide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ find, hide, want string }{
		{"", "", "api cart front pay a b c d"},
		{"name = cart", "", "cart"},
		{"name = CART or name ^= fr", "", "cart front a"},
		{"ns = shop", "", "cart front a"},
		{"namespace != shop", "", "api pay d"},
		{"name *= a and not (ns = bank)", "", "api cart"},
		{"version = v2", "", "cart"},
		{"cluster = east", "", "cart"},
		{"node = external", "", "api"},
		{"! healthy", "", "api cart front a"},
		{"healthy", "", "pay"},
		{"idle", "", "api"},
		{"culprit", "", "cart"},
		{"victim && slow", "", "front"},
		{"trafficsource", "", "front"},
		{"outside", "", "api"},
		{"rank = 1", "", "pay"},
		{"rank <= 2", "", "api cart pay c d"},
		{"httpin > 50", "", "cart"},
		{"httpout >= 100 and grpcin = 0", "", "front"},
		{"http > 50", "", "cart front a"},
		{"%httperr >= 10", "", "cart front a"},
		{"%err >= 10", "", "cart front pay a c"},
		{"%httptraffic < 20", "", "front pay b"},
		{"%grpctraffic = 100", "", "cart pay c"},
		{"rt > 25", "", "cart front pay a c"},
		{"rt <= 25", "", "front pay b"},
		{"protocol = grpc or protocol = tcp", "", "api cart pay c d"},
		{"mtls", "", "cart front pay a c"},
		{"not traffic", "", "api pay d"},
		{`source = "shop/front"`, "", "cart front pay a b"},
		{"", "healthy", "api cart front a"},
		{"", "ns = shop", "api pay d"},
		{"", "! traffic", "cart front pay a b c"},
		{"", "protocol = http", "api cart pay c d"},
		{"ns = shop", "name = cart", "front"},
		{"ns = shop", "rt > 500", ""},
		{"http > 1", "name = cart", "front pay b"},
	} {
		if got := left(t, c.find, c.hide); got != c.want {
			t.Errorf("find %q hide %q leaves %q, want %q", c.find, c.hide, got, c.want)
		}
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                       "an operand is missing",
		"nome = cart":                            "no operand",
		"name":                                   "is compared with something",
		"name =":                                 "is compared with is missing",
		"name = = cart":                          "is compared with is missing",
		"rt > fast":                              "is a number",
		"rt *= 5":                                "is a number",
		"rt > NaN":                               "is a number",
		"name = cart and rt > 5":                 "rt is about edges, and what comes before about nodes",
		"vs":                                     "configuration of the mesh",
		"throughput > 5":                         "bytes are not counted",
		"(name = cart":                           "not closed",
		"name = cart)":                           "not expected",
		"name = cart name = b":                   "not expected",
		"name = 'cart":                           "does not end",
		"'name' = cart":                          "no operand",
		"not":                                    "an operand is missing",
		strings.Repeat("(", 100) + "idle":        "nested deeper",
		strings.Repeat("idle or ", 100) + "idle": "more than 64 terms",
		strings.Repeat("x", 5000):                "longer than",
	} {
		f, err := Parse(text)
		if err == nil || f != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

// Whatever is written, reading it does not panic, and what is read can be asked of any graph.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"name = cart and not (ns = shop)", "%httperr >= 5", "! healthy", `name *= "a b"`, "rank<=2||idle"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		x, err := Parse(s)
		if err != nil {
			if e, ok := err.(*Error); !ok || e.At < 0 || e.At > len(s) { //nolint:errorlint // it is what is documented
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		kept := Apply(shop(), "1m", x, nil)
		rest := Apply(shop(), "1m", nil, x)
		if !x.Edges() && len(kept.Nodes)+len(rest.Nodes) != 4 {
			t.Errorf("%q finds %d of 4 nodes, and hides all but %d", s, len(kept.Nodes), len(rest.Nodes))
		}
	})
}
