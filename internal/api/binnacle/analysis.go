package binnacle

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/internal/ledger"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/analysis"
)

const (
	someAnalysed = 100
	mostAnalysed = 1000
	// heavyFrom is from how many edges on a question goes through so much without a pause that it waits among its like.
	heavyFrom = 20_000
)

// An analysisForm is what questions about a graph's structure have in common.
type analysisForm struct {
	p        *params.Params
	from, to time.Time // zero: the live graph
	window   string
	limit    int
}

func (d *Dialect) readAnalysis(r *http.Request) (f analysisForm, err error) {
	p := params.Of(r.URL)
	f = analysisForm{p: p, limit: p.Number(someAnalysed, 1, mostAnalysed, "limit")}
	f.from, f.to = d.rangeOf(p)
	f.window = windowOf(p, !f.from.IsZero())
	return f, p.Err()
}

// windowOf is the window whose rates count, a minute unless another is asked for; a past range is one of its own.
func windowOf(p *params.Params, past bool) string {
	windows := windowOrder[:len(windowOrder)-1]
	switch w := p.Text("window"); {
	case past && w != "":
		p.Fail("window", "a past range is one window of its own; leave it out")
	case !past && w == "":
		return "1m"
	case !past && !slices.Contains(windows, w):
		p.Fail("window", params.Quote(w)+" is none of "+strings.Join(windows, ", "))
	case !past:
		return w
	}
	return "range"
}

// rangeOf is the range that a request asks for, zero for the live graph.
func (d *Dialect) rangeOf(p *params.Params) (from, to time.Time) {
	from = p.Moment(time.Time{}, "from")
	to = p.Moment(time.Time{}, "to")
	switch {
	case from.IsZero() && !to.IsZero():
		p.Fail("from", "a range that ends needs a beginning")
	case !from.IsZero() && to.IsZero():
		to = d.now()
	}
	return from, to
}

// shape is that of the graph that is asked for.
func (d *Dialect) shape(r *http.Request, from, to time.Time) (*analysis.Shape, error) {
	g, err := d.graphOf(r, from, to)
	if err != nil {
		return nil, err
	}
	return d.shapeOf(r, g, false)
}

// graphOf is the graph of a range, or the live one where from is zero.
func (d *Dialect) graphOf(r *http.Request, from, to time.Time) (*telemetry.Graph, error) {
	if from.IsZero() {
		return d.deps.Query.Live().Snapshot(), nil
	}
	return d.deps.Query.Graph(r.Context(), from, to)
}

// shapeOf is the shape of a graph. One that is a part of the live graph is not kept for the next question.
func (d *Dialect) shapeOf(r *http.Request, g *telemetry.Graph, part bool) (*analysis.Shape, error) {
	question := ask.Of(r.Context())
	if len(g.Edges) >= heavyFrom {
		if err := question.Heavy(r.Context()); err != nil {
			return nil, err
		}
	}
	if g.Origin == telemetry.OriginLive && !part {
		return d.shapes.of(g), nil
	}
	s := analysis.NewShape(g, nil)
	return s, question.Take(s.Bytes())
}

// A shapeCache holds the shape of the newest live graph that was asked about, for the next question, and its flow in the window that was asked for
// last. What it holds is counted; where there is no memory it holds nothing.
type shapeCache struct {
	memory *ledger.Account
	mu     sync.Mutex
	shape  *analysis.Shape // guarded by mu, as all below
	flow   *analysis.Flow
	window string // flow's
	held   int64
}

// of is the shape of a live graph. Two that ask at once wait for one making.
func (c *shapeCache) of(g *telemetry.Graph) *analysis.Shape {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.newest(g)
}

func (c *shapeCache) newest(g *telemetry.Graph) *analysis.Shape {
	if c.shape != nil && c.shape.Graph() == g {
		return c.shape
	}
	s := analysis.NewShape(g, c.shape)
	c.shape, c.flow = nil, nil
	c.hold(s, nil, "")
	return s
}

// flowOf is the flow of a live graph in a window.
func (c *shapeCache) flowOf(g *telemetry.Graph, window string) *analysis.Flow {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.newest(g)
	if c.flow != nil && c.window == window {
		return c.flow
	}
	f := analysis.NewFlow(s, window)
	c.hold(s, f, window)
	return f
}

// hold keeps them for the next question, if there is memory for it.
func (c *shapeCache) hold(s *analysis.Shape, f *analysis.Flow, window string) {
	need := s.Bytes()
	if f != nil {
		need += f.Bytes()
	}
	c.memory.Give(c.held)
	if c.held = 0; c.memory.Take(need) {
		c.shape, c.flow, c.window, c.held = s, f, window, need
	} else {
		c.shape, c.flow = nil, nil
	}
}

// node is the node that a question is about.
func (f *analysisForm) node(s *analysis.Shape) (string, error) {
	id := f.p.Text("node")
	switch {
	case id == "":
		f.p.Fail("node", "it is missing: the id of a node, such as shop/cart")
	case f.p.Err() == nil && !s.Has(id):
		return "", &api.Error{Status: http.StatusNotFound, Detail: fmt.Sprintf("the graph has no node %s; GET /api/v1/graph/find?q= finds nodes by a part of their name", params.Quote(id))}
	}
	return id, f.p.Err()
}

// directionOf reads which way edges are followed.
func directionOf(p *params.Params) analysis.Direction {
	switch v := p.Text("direction"); v {
	case "", "both":
	case "up":
		return analysis.Up
	case "down":
		return analysis.Down
	default:
		p.Fail("direction", params.Quote(v)+" is none of up, down, both")
	}
	return analysis.Both
}

// blast answers who suffers when a node fails, and on what it depends.
func (d *Dialect) blast(r *http.Request) (api.Answer, error) {
	f, err := d.readAnalysis(r)
	if err != nil {
		return api.Answer{}, err
	}
	way := directionOf(f.p)
	s, err := d.shape(r, f.from, f.to)
	if err != nil {
		return api.Answer{}, err
	}
	id, err := f.node(s)
	if err != nil {
		return api.Answer{}, err
	}
	var flow *analysis.Flow
	if f.from.IsZero() {
		flow = d.shapes.flowOf(s.Graph(), f.window)
	} else {
		flow = analysis.NewFlow(s, f.window)
	}
	b := blast{node: id, window: f.window, limit: f.limit}
	if way != analysis.Down {
		up, _ := flow.Up(id)
		b.up = &up
	}
	if way != analysis.Up {
		down, _ := flow.Down(id)
		b.down = &down
	}
	return api.JSON(appendBlast(nil, s.Graph(), &b)), nil
}

// cycles answers which services call each other in a circle.
func (d *Dialect) cycles(r *http.Request) (api.Answer, error) {
	f, err := d.readAnalysis(r)
	if err != nil {
		return api.Answer{}, err
	}
	s, err := d.shape(r, f.from, f.to)
	if err != nil {
		return api.Answer{}, err
	}
	return api.JSON(appendCycles(nil, s.Graph(), s.Cycles(), f.window, f.limit)), nil
}

// cuts answers whose loss cuts others off.
func (d *Dialect) cuts(r *http.Request) (api.Answer, error) {
	f, err := d.readAnalysis(r)
	if err != nil {
		return api.Answer{}, err
	}
	s, err := d.shape(r, f.from, f.to)
	if err != nil {
		return api.Answer{}, err
	}
	return api.JSON(appendCuts(nil, s.Graph(), s.Cuts(), f.window, f.limit)), nil
}
