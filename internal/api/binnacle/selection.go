package binnacle

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/graphfilter"
)

// A graph can be asked for by groups, and only what is meant of it: see telemetry/graphfilter.

// groupRange is the range of a grouped graph unless another is asked for: what services show by version or workload is in the series alone.
const groupRange = 5 * time.Minute

// filteredBytes is about what is remembered of a node or an edge while a graph is filtered.
const filteredBytes = 400

// A selection is what a request says of groups and of what is meant.
type selection struct {
	by         telemetry.Grouping
	find, hide *graphfilter.Filter
	window     string // whose figures are compared
}

func selectionOf(p *params.Params, past bool) (s selection) {
	if name := p.Text("group"); name != "" {
		s.by = telemetry.Groupings
		var names []string
		for g := range telemetry.Grouping(telemetry.Groupings) {
			if names = append(names, g.String()); g.String() == name {
				s.by = g
			}
		}
		if s.by == telemetry.Groupings {
			p.Fail("group", params.Quote(name)+" is none of "+strings.Join(names, ", "))
		}
	}
	filter := func(name string) *graphfilter.Filter {
		text := p.Text(name)
		if text == "" {
			return nil
		}
		f, err := graphfilter.Parse(text)
		if bad, ok := errors.AsType[*graphfilter.Error](err); ok {
			p.Fail(name, bad.Error())
		}
		return f
	}
	s.find, s.hide = filter("find"), filter("hide")
	if s.grouped() {
		past = true
	}
	if s.filters() {
		s.window = windowOf(p, past)
	}
	return s
}

func (s *selection) grouped() bool { return s.by != telemetry.GroupService }
func (s *selection) filters() bool { return s.find != nil || s.hide != nil }

// apply is what is meant of a graph.
func (s *selection) apply(r *http.Request, g *telemetry.Graph) (*telemetry.Graph, error) {
	if !s.filters() {
		return g, nil
	}
	if err := ask.Of(r.Context()).Take(int64(len(g.Nodes)+len(g.Edges)) * filteredBytes); err != nil {
		return nil, err
	}
	return graphfilter.Apply(g, s.window, s.find, s.hide), nil
}

// groupedOf is the grouped graph of a range, or of the last minutes where from is zero.
func (d *Dialect) groupedOf(r *http.Request, from, to time.Time, by telemetry.Grouping) (*telemetry.Graph, error) {
	if from.IsZero() {
		to = d.now()
		from = to.Add(-groupRange)
	}
	return d.deps.Query.Grouped(r.Context(), from, to, by)
}
