package binnacle

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// TestFindByBlame: what is found is ranked as the map ranks it, and a word for how something is ill finds who is.
func TestFindByBlame(t *testing.T) {
	t.Parallel()
	node := func(name string, h telemetry.Health, j telemetry.Judgement) telemetry.GraphNode {
		return telemetry.GraphNode{ID: "shop/" + name, Name: name, Namespace: "shop", Health: h, Judgement: j}
	}
	slow, cut := telemetry.AilmentSlow, telemetry.AilmentCutOff
	g := &telemetry.Graph{Nodes: []telemetry.GraphNode{
		node("admin", telemetry.HealthFailing, telemetry.Judgement{Kind: slow, Because: "shop/cart", Score: 9}),
		node("billing", telemetry.HealthOK, telemetry.Judgement{}),
		node("cart", telemetry.HealthDegraded, telemetry.Judgement{Kind: slow, Score: 4}),
		node("catalog", telemetry.HealthIdle, telemetry.Judgement{}),
		node("mailer", telemetry.HealthFailing, telemetry.Judgement{Kind: cut, Score: 5}),
	}}
	for text, want := range map[string]string{
		"":        "mailer cart admin billing catalog",
		"ca":      "cart catalog",
		"a":       "admin mailer cart catalog", // it begins so; then who is to blame
		"slow":    "cart admin",
		"cut off": "mailer",
		"culprit": "mailer cart",
		"victim":  "admin",
		"failing": "mailer admin",
		"idle":    "catalog",
		"nobody":  "",
	} {
		var got []string
		for _, n := range findNodes(g, text) {
			got = append(got, n.Name)
		}
		if d := cmp.Diff(want, strings.Join(got, " ")); d != "" {
			t.Errorf("%q (-want +got):\n%s", text, d)
		}
	}
}
