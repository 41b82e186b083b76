package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A system is one that others recorded, with its incidents.
type system struct {
	name      string
	incidents []*incident
	unusable  int // incidents of which there is nothing that could be judged
}

// An incident is one that was recorded: who was struck, and whom the judge and the baselines hold to be.
//
// The judge ranks by how long it named a service during the incident: those first that it named by themselves, in the order in which it ranked
// them; then those of which it said that they are ill because of others. Whom it did not name is not ranked.
type incident struct {
	name, cause string
	scene       scene
	culprit     map[string]float64 // by service: the sum of 1/rank over the looks of the incident
	victim      map[string]float64 // looks in which it was ill because of another
	suspect     map[string]float64 // the sum of 1/rank among the suspects
	before      map[string]int     // looks before the incident in which it was named
}

// asked is how often, in seconds, it is asked who is suspected.
const asked = 10

func newIncident(name, cause string) *incident {
	return &incident{name: name, cause: cause, culprit: map[string]float64{}, victim: map[string]float64{}, suspect: map[string]float64{}, before: map[string]int{}}
}

// look takes in what the graph shows at one moment, before the incident or in it.
func (in *incident) look(g *telemetry.Graph, before bool) {
	named := map[string]string{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		named[n.ID] = n.Name
		if !before && n.Judgement.Kind != telemetry.AilmentNone && n.Judgement.Because != "" {
			in.victim[n.Name]++
		}
	}
	for rank, id := range g.Culprits {
		if before {
			in.before[named[id]]++
		} else {
			in.culprit[named[id]] += 1 / float64(rank+1)
		}
	}
}

// see takes in what a stage shows at one moment.
func (in *incident) see(s *stage, g *telemetry.Graph, before bool) {
	in.look(g, before)
	if before || s.now/1e9%asked != 0 {
		return
	}
	for rank, who := range s.graph.Suspects() {
		in.suspect[who.Name] += 1 / float64(rank+1)
	}
}

// suspects is the ranking of who is ill or suspected.
func (in *incident) suspects() []string { return ranked(in.suspect) }

// judged is the judge's ranking.
func (in *incident) judged() []string {
	out := ranked(in.culprit)
	for _, v := range ranked(in.victim) {
		if in.culprit[v] == 0 {
			out = append(out, v)
		}
	}
	return out
}

// tops are shares of incidents.
type tops struct{ one, three float64 }

// count counts whether the cause is the first, and one of the first three.
func (t *tops) count(ranking []string, cause string) {
	if i := slices.Index(ranking, cause); i >= 0 && i < 3 {
		t.three++
		if i == 0 {
			t.one++
		}
	}
}

// judgeIncidents prints how often whom was right, by system.
func judgeIncidents(ctx context.Context, folder string, to io.Writer) error {
	begin := time.Now()
	var systems []*system
	for _, r := range []struct {
		file  string
		judge func(context.Context, string) ([]*system, error)
	}{{"nezha-dev.tar.gz", nezha}, {"petshop-dev.tar.gz", petshop}} {
		of, err := r.judge(ctx, filepath.Join(folder, r.file))
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(to, "SKIPPED, AND NOT PROVEN: %v\n", err)
			continue
		}
		if err != nil {
			return err
		}
		systems = append(systems, of...)
	}
	if len(systems) == 0 {
		return fmt.Errorf("there are no recordings in %s", folder)
	}
	for _, s := range systems {
		for _, in := range s.incidents {
			fmt.Fprintf(to, "%s: it was %s\n  judge     %s\n  suspects  %s\n  oddest    %s\n  walk      %s\n", in.name, in.cause, firstOf(in.judged()), firstOf(in.suspects()), firstOf(in.scene.oddest()), firstOf(in.scene.walk()))
			if len(in.before) > 0 {
				fmt.Fprintf(to, "  before it the judge named %d, among them %s\n", len(in.before), firstOf(sortedKeys(in.before)))
			}
		}
	}
	w := tabwriter.NewWriter(to, 2, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nsystem\tincidents\tnot usable\tjudge top-1\ttop-3\tsuspects top-1\ttop-3\toddest top-1\ttop-3\twalk top-1\ttop-3\tchance top-1\ttop-3\tnames somebody\tnamed while well")
	for _, s := range systems {
		s.row(w)
	}
	_ = w.Flush()
	fmt.Fprintf(to, "\ntook %s\n", time.Since(begin).Round(time.Second))
	return nil
}

// row prints a system's figures.
func (s *system) row(w io.Writer) {
	var judge, suspects, oddest, walk, chance tops
	some, before := 0, 0
	for _, in := range s.incidents {
		judge.count(in.judged(), in.cause)
		suspects.count(in.suspects(), in.cause)
		oddest.count(in.scene.oddest(), in.cause)
		walk.count(in.scene.walk(), in.cause)
		n := float64(len(in.scene.oddity))
		chance.one += 1 / n
		chance.three += min(1, 3/n)
		if len(in.culprit) > 0 {
			some++
		}
		if len(in.before) > 0 {
			before++
		}
	}
	n := float64(len(s.incidents))
	fmt.Fprintf(w, "%s\t%d\t%d", s.name, len(s.incidents), s.unusable)
	for _, t := range []tops{judge, suspects, oddest, walk, chance} {
		fmt.Fprintf(w, "\t%.0f %%\t%.0f %%", 100*t.one/n, 100*t.three/n)
	}
	fmt.Fprintf(w, "\t%d\t%d\n", some, before)
}

func firstOf(ranking []string) string {
	if len(ranking) == 0 {
		return "nobody"
	}
	return strings.Join(ranking[:min(3, len(ranking))], ", ")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
