package binnacle

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// judge finds some nodes of a graph ill, by themselves or because of another, and answers how many.
func judge(t *rapid.T, g *telemetry.Graph) (ill int) {
	judged := telemetry.Judgements{Nodes: map[string]telemetry.Judged{}}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if rapid.IntRange(0, 2).Draw(t, "ill") > 0 {
			continue
		}
		n.Judgement = telemetry.Judgement{Kind: telemetry.AilmentSlow, Score: float64(rapid.IntRange(1, 4).Draw(t, "score"))}
		if rapid.Bool().Draw(t, "victim") {
			n.Judgement.Because = g.Nodes[rapid.IntRange(0, len(g.Nodes)-1).Draw(t, "because")].ID
		}
		judged.Nodes[n.ID] = telemetry.Judged{Judgement: n.Judgement}
	}
	g.Culprits = judged.Culprits()
	return len(judged.Nodes)
}

// TestFoldCountsBlame: whatever is open, all groups together have each culprit and each victim once, and a group names the first of
// its culprits in the server's order, with all that suffer by it.
func TestFoldCountsBlame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := mesh(t)
		ill := judge(t, g)
		v := viewport{window: "10s"}
		for id := range groups(fold(g, v)) {
			if rapid.Bool().Draw(t, "open") {
				v.open = append(v.open, id)
			}
		}
		culprits, victims := 0, 0
		for id, n := range groups(fold(g, v)) {
			culprits += n.group.culprits
			victims += n.group.victims
			first := slices.IndexFunc(g.Culprits, func(c string) bool { return groupsOf(g)[c] == id })
			switch {
			case first < 0 && n.group.worst == nil:
			case first < 0 || n.group.worst == nil || n.group.worst.id != g.Culprits[first]:
				t.Fatalf("%s names %+v as its worst, the order is %v", id, n.group.worst, g.Culprits)
			default:
				want := 0
				for i := range g.Nodes {
					if g.Nodes[i].Judgement.Because == n.group.worst.id {
						want++
					}
				}
				if n.group.worst.suffer != want {
					t.Fatalf("%d suffer by %s, %s says %d", want, n.group.worst.id, id, n.group.worst.suffer)
				}
			}
		}
		if culprits != len(g.Culprits) || culprits+victims != ill {
			t.Fatalf("groups have %d culprits and %d victims, the graph %d and %d", culprits, victims, len(g.Culprits), ill-len(g.Culprits))
		}
	})
}
