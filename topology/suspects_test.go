package topology

import (
	"slices"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func suspectIDs(t *Topology) (ids []string) {
	for _, s := range t.Suspects() {
		ids = append(ids, s.ID)
	}
	return ids
}

// What is too faint to be ill is suspected, of all whom it concerns its cause first.
func TestFaintIsSuspected(t *testing.T) {
	t.Parallel()
	s := newShop(3, 20)
	for range 300 {
		s.second("", 0, 0)
	}
	for range 300 {
		if g := s.second("inventory", 0, 0.03); len(g.Culprits) > 0 {
			t.Fatalf("%v named: this is not faint", g.Culprits)
		}
	}
	all := s.t.Suspects()
	if len(all) == 0 || all[0].ID != "shop/inventory" || all[0].Named || all[0].Judgement.Kind != telemetry.AilmentFailing || all[0].Judgement.Because != "" {
		t.Fatalf("suspects: %+v", all)
	}
	for _, who := range all[1:] {
		if (who.ID == "shop/checkout" || who.ID == "shop/gateway") && who.Judgement.Because != "shop/inventory" {
			t.Errorf("%+v", who)
		}
	}
}

// Whom the graph calls ill is listed as the graph has it, culprits first, before and after a restart.
func TestSuspectsAgreeWithTheGraph(t *testing.T) {
	t.Parallel()
	s := newShop(4, 20)
	for range 120 {
		s.second("", 0, 0)
	}
	for i := range 60 {
		s.second("checkout", 300e6, 0)
		if i == 30 {
			s.restart(t)
		}
		g := fresh(s.t)
		all := s.t.Suspects()
		culprits := []string{}
		judged := map[string]telemetry.Judgement{}
		for _, who := range all {
			if !who.Named {
				continue
			}
			judged[who.ID] = who.Judgement
			if who.Judgement.Because == "" {
				culprits = append(culprits, who.ID)
			}
		}
		if !slices.Equal(culprits, g.Culprits) {
			t.Fatalf("after %d s the suspects' culprits are %v, the graph's %v", i, culprits, g.Culprits)
		}
		for k := range g.Nodes {
			if n := &g.Nodes[k]; n.Judgement != judged[n.ID] {
				t.Fatalf("after %d s %s is %+v, and among the suspects %+v", i, n.ID, n.Judgement, judged[n.ID])
			}
		}
	}
	if ids := suspectIDs(s.t); len(ids) == 0 || ids[0] != "shop/checkout" {
		t.Errorf("suspects: %v", ids)
	}
}
