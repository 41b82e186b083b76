package binnacle

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/analysis"
)

// diffRange is how long the ranges are that are compared unless others are asked for.
const diffRange = 5 * time.Minute

// settled is how long ago a range must have ended for all of it to be in the series: halves have met, and what they tell is written. What has not, seems to
// have fallen.
const settled = 20 * time.Second

// differenceBytes is about what a node or an edge that changed takes in an answer.
const differenceBytes = 1200

// graphDiff answers what changed in the graph from one range to another.
func (d *Dialect) graphDiff(r *http.Request) (api.Answer, error) {
	p := params.Of(r.URL)
	to := d.now().Add(-settled)
	if until := p.Moment(to, "to"); until.Before(to) {
		to = until
	}
	from := p.Moment(to.Add(-diffRange), "from")
	length := to.Sub(from)
	against := p.Moment(from.Add(-length), "against")
	x := diffForm{from: from, to: to, against: against, againstTo: p.Moment(against.Add(length), "against_to")}
	x.limit = p.Number(someAnalysed, 1, mostAnalysed, "limit")
	x.all = p.Boolean("all")
	x.export = exportForm{format: formatOf(p), window: "range"}
	if against, _ := p.Get("against"); against == "" {
		if end, _ := p.Get("against_to"); end != "" {
			p.Fail("against", "a range that ends needs a beginning")
		}
	}
	if p.Err() != nil {
		return api.Answer{}, p.Err()
	}
	diff, err := d.deps.Query.DiffGraphs(r.Context(), x.from, x.to, x.against, x.againstTo)
	if err != nil {
		return api.Answer{}, err
	}
	x.choose(diff)
	if err := ask.Of(r.Context()).Take(int64(len(x.nodes)+len(x.edges)) * differenceBytes); err != nil {
		return api.Answer{}, err
	}
	if x.export.format != "json" {
		return x.draw(r, diff)
	}
	return api.JSON(x.append(nil, diff)), nil
}

// A diffForm is what is asked, and what of the answer is shown.
type diffForm struct {
	from, to, against, againstTo time.Time
	limit                        int
	all                          bool // what may be chance, too
	nodes, edges                 []analysis.Difference
	foundNodes, foundEdges       int
	export                       exportForm // how it is written
}

// choose finds what is shown: of what was in both ranges only what is certain, unless all is asked for.
func (x *diffForm) choose(d *query.GraphDiff) {
	some := func(all []analysis.Difference) ([]analysis.Difference, int) {
		var out []analysis.Difference
		found := 0
		for i := range all {
			if n := &all[i]; x.all || n.Certain || n.Fate != analysis.Changed {
				if found++; len(out) < x.limit {
					out = append(out, *n)
				}
			}
		}
		return out, found
	}
	x.nodes, x.foundNodes = some(d.Nodes)
	x.edges, x.foundEdges = some(d.Edges)
}

func (x *diffForm) append(b []byte, d *query.GraphDiff) []byte {
	j := jsonout.Writer{B: b}
	j.Open('{')
	j.Key("from").Millisecond(x.from.UnixNano())
	j.Key("to").Millisecond(x.to.UnixNano())
	j.Key("against_from").Millisecond(x.against.UnixNano())
	j.Key("against_to").Millisecond(x.againstTo.UnixNano())
	j.Key("tests").Int(int64(d.Tests))
	j.Key("threshold").Signal(d.Threshold)
	j.Key("found_nodes").Int(int64(x.foundNodes))
	j.Key("found_edges").Int(int64(x.foundEdges))
	jsonout.List(j.Key("nodes"), x.nodes, func(j *jsonout.Writer, n *analysis.Difference) { writeNodeDifference(j, x, d, n) })
	jsonout.List(j.Key("edges"), x.edges, func(j *jsonout.Writer, n *analysis.Difference) { writeEdgeDifference(j, x, d, n) })
	writeIncomplete(&j, d.Incomplete)
	j.Close('}')
	return j.B
}

// lately is where a node or an edge is to be found as it was last: in the later range, or else in the earlier.
func lately(d *query.GraphDiff, n *analysis.Difference) (*telemetry.Graph, int) {
	if n.After >= 0 {
		return d.After.Graph, n.After
	}
	return d.Before.Graph, n.Before
}

func writeNodeDifference(j *jsonout.Writer, x *diffForm, d *query.GraphDiff, n *analysis.Difference) {
	g, at := lately(d, n)
	is := &g.Nodes[at]
	j.Open('{')
	j.Field("id", is.ID)
	j.Field("name", is.Name)
	j.Field("namespace", is.Namespace)
	j.Field("cluster", is.Cluster)
	j.Field("kind", is.Kind.String())
	j.Field("system", is.System)
	x.writeDifference(j, n)
	side := func(name string, r *telemetry.GraphRange, at int) {
		if at >= 0 {
			writeSide(j.Key(name), &r.Nodes[at], r.Graph.Nodes[at].Windows["range"])
		}
	}
	side("before", d.Before, n.Before)
	side("after", d.After, n.After)
	j.Close('}')
}

func writeEdgeDifference(j *jsonout.Writer, x *diffForm, d *query.GraphDiff, n *analysis.Difference) {
	g, at := lately(d, n)
	is := &g.Edges[at]
	j.Open('{')
	j.Field("id", is.ID)
	j.Field("source", is.Source)
	j.Field("target", is.Target)
	j.Field("protocol", is.Protocol.String())
	x.writeDifference(j, n)
	side := func(name string, r *telemetry.GraphRange, at int) {
		if at >= 0 {
			writeSide(j.Key(name), &r.Edges[at], r.Graph.Edges[at].Windows["range"])
		}
	}
	side("before", d.Before, n.Before)
	side("after", d.After, n.After)
	j.Close('}')
}

// writeSide writes what a node or an edge showed of one of the ranges.
func writeSide(j *jsonout.Writer, c *telemetry.Counted, s telemetry.Signals) {
	whole := func(f float64) uint64 { return uint64(math.Round(f)) }
	j.Open('{')
	writeTotals(j.Key("totals"), &telemetry.Totals{Requests: whole(c.Requests), Errors: whole(c.Errors), Throttled: whole(c.Throttled)})
	writeSignals(j.Key("signals"), &s)
	j.Close('}')
}

func (x *diffForm) writeDifference(j *jsonout.Writer, n *analysis.Difference) {
	j.Field("change", n.Fate.String())
	j.Key("certain").Bool(n.Certain)
	if n.Fate != analysis.Changed {
		j.Key("p").Signal(n.Chance)
	}
	var shown []analysis.Change
	for i := range n.Changes {
		if c := &n.Changes[i]; x.all || c.Certain {
			shown = append(shown, *c)
		}
	}
	jsonout.List(j.Key("changes"), shown, writeChange)
}

func writeChange(j *jsonout.Writer, c *analysis.Change) {
	j.Open('{')
	j.Field("what", c.Figure.String())
	if c.Figure == analysis.FigureVersion {
		j.Field("version", c.Version)
		j.Field("change", c.Fate.String())
		j.Key("requests").Signal(c.Before + c.After)
	} else {
		j.Key("before").Signal(c.Before)
		j.Key("after").Signal(c.After)
		j.Key("difference").Signal(c.After - c.Before)
		if c.Before > 0 {
			j.Key("ratio").Signal(c.After / c.Before)
		}
	}
	j.Key("p").Signal(c.Chance)
	j.Key("certain").Bool(c.Certain)
	j.Field("says", says(c))
	j.Close('}')
}

// says is a change in a sentence with its figures.
func says(c *analysis.Change) string {
	grew := c.After > c.Before
	verb := func(up, down string) string {
		if grew {
			return up
		}
		return down
	}
	switch c.Figure {
	case analysis.FigureVersion:
		if c.Fate == analysis.Added {
			return fmt.Sprintf("version %s is new: it had a part in %s requests, and in none before", c.Version, short(c.After))
		}
		return fmt.Sprintf("version %s is gone: it had a part in %s requests before, and in none now", c.Version, short(c.Before))
	case analysis.FigureErrors:
		return fmt.Sprintf("errors %s from %s %% to %s %% of the requests", verb("rose", "fell"), short(100*c.Before), short(100*c.After))
	case analysis.FigureThrottled:
		return fmt.Sprintf("throttled requests %s from %s %% to %s %%", verb("rose", "fell"), short(100*c.Before), short(100*c.After))
	case analysis.FigureRate:
		return fmt.Sprintf("the rate %s from %s to %s requests a second%s", verb("rose", "fell"), short(c.Before), short(c.After), times(c))
	default:
		return fmt.Sprintf("%s %s from %s to %s ms%s", c.Figure, verb("rose", "fell"), short(c.Before), short(c.After), times(c))
	}
}

// times says by how much something grew or shrank.
func times(c *analysis.Change) string {
	if c.Before <= 0 || c.After <= 0 {
		return ""
	}
	ratio := c.After / c.Before
	if ratio >= 2 {
		return ", " + short(ratio) + " times"
	}
	return fmt.Sprintf(", by %s %%", short(100*math.Abs(ratio-1)))
}
