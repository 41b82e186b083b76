package binnacle

import (
	"context"
	"hash/maphash"
	"math"
	"net/url"
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

const (
	// mostOpen is how many groups of a viewport may be open at once.
	mostOpen = 64
	// foldedInterval is the least time between two deltas of a folded graph, which has hundreds of figures in each.
	foldedInterval = time.Second
	// foldShare is how many times as long as it took to make a delta a stream then rests: all streams that a client may
	// have cost no more than a processor, whatever the graph's size.
	foldShare = 20
)

// viewportOf is what a request says it shows; asked is false where it wants the graph as it is.
func viewportOf(u *url.URL) (v viewport, asked bool, err error) {
	p := params.Of(u)
	switch mode := p.Text("fold"); mode {
	case "":
		return v, false, p.Err()
	case "auto":
	default:
		p.Fail("fold", "auto is the only way to fold")
	}
	v = viewport{open: p.All("open"), show: p.Text("show"), window: p.Text("window")}
	if len(v.open) > mostOpen {
		p.Fail("open", "at most 64 groups are open at once")
	}
	if v.window != "" && !slices.Contains(windowOrder[:], v.window) {
		p.Fail("window", "is one of 1s, 10s, 1m, 5m")
	}
	return v, true, p.Err()
}

// large says that a graph is folded for who asks for it.
func large(g *telemetry.Graph) bool { return len(g.Nodes) > foldFrom }

// A foldedStream is what one stream of a folded graph remembers: of each object that its page has, what it was like.
type foldedStream struct {
	seed  maphash.Seed
	known map[string]uint64 // by the object's id: the hash of its JSON
	// culprits and findings are those that the page was told last.
	culprits []string
	findings []telemetry.Finding
	out      jsonout.Writer
	held     int64 // bytes counted in memory
}

// followFolded writes a stream's events of a folded graph until the client, the server or ctx ends it.
func (d *Dialect) followFolded(ctx context.Context, s *streamWriter, v viewport) {
	f := &foldedStream{seed: maphash.MakeSeed()}
	defer func() { d.graphs.memory.Give(f.held) }()
	rest := time.NewTimer(0)
	defer rest.Stop()
	var last *telemetry.Graph
	_, told := d.hub.news(math.MaxUint64)
	for s.err == nil {
		g, wake := d.hub.now()
		if g == nil {
			return
		}
		news, next := d.hub.news(told)
		if told = next; len(news) > 0 {
			s.write(appendEvents(nil, g.Version, news))
		}
		pause := keepAlive
		switch g {
		case last:
			s.write([]byte(": still here\n\n"))
		default:
			start := d.now()
			event, changed := f.event(fold(g, v), last == nil)
			if !d.count(f) {
				d.refuseSnapshot(s, g.Version)
				return
			}
			if changed {
				s.write(event)
			}
			last = g
			pause = max(foldedInterval, foldShare*d.now().Sub(start))
		}
		if !d.restOrChange(ctx, rest, pause, wake, g == last && pause == keepAlive) {
			return
		}
	}
}

// restOrChange waits for pause to pass, or, where early, for a change; false when the stream ends.
func (d *Dialect) restOrChange(ctx context.Context, rest *time.Timer, pause time.Duration, wake <-chan struct{}, early bool) bool {
	rest.Reset(pause)
	if !early {
		wake = nil
	}
	select {
	case <-wake:
	case <-rest.C:
	case <-ctx.Done():
		return false
	case <-d.hub.done:
		return false
	}
	return true
}

// count counts what the stream holds in memory; false where there is none.
func (d *Dialect) count(f *foldedStream) bool {
	const entry = 80 // of the map, with its share of the id
	need := int64(cap(f.out.B)) + int64(len(f.known))*entry
	if need <= f.held {
		return true
	}
	if !d.graphs.memory.Take(need - f.held) {
		return false
	}
	f.held = need
	return true
}

// event is the next event of a stream: a snapshot, or what has changed since the last one. Its bytes are good until the next.
func (f *foldedStream) event(g *foldedGraph, whole bool) (event []byte, changed bool) {
	known := make(map[string]uint64, len(g.nodes)+len(g.edges))
	j := &f.out
	j.B = j.B[:0]
	name := "delta"
	if whole {
		name = "snapshot"
	}
	*j = jsonout.Writer{B: appendEvent(j.B, name, g.version)}
	j.Open('{')
	j.Key("version").Uint(g.version)
	j.Key("time").Millisecond(g.time)
	if whole {
		j.Field("origin", g.origin.String())
	}
	n := f.changed(j, "nodes", known, len(g.nodes), func(i int) string {
		writeFoldedNode(j, &g.nodes[i])
		return g.nodes[i].ID
	})
	e := f.changed(j, "edges", known, len(g.edges), func(i int) string {
		writeFoldedEdge(j, &g.edges[i])
		return g.edges[i].ID
	})
	gone := 0
	if !whole {
		gone = f.removed(j, known)
	}
	j.Key("culprits").Texts(g.culprits)
	writeFindings(j, g.findings)
	j.Close('}')
	j.B = append(j.B, "\n\n"...)
	changed = whole || n+e+gone > 0 || !slices.Equal(f.culprits, g.culprits) || !query.SameFindings(f.findings, g.findings)
	f.known, f.culprits, f.findings = known, g.culprits, g.findings
	return j.B, changed
}

// changed writes a list of those objects that the page does not have as they are, and returns how many.
func (f *foldedStream) changed(j *jsonout.Writer, key string, known map[string]uint64, n int, write func(int) string) (written int) {
	j.Key(key).Open('[')
	for i := range n {
		before := *j
		id := write(i)
		at := len(before.B)
		if j.B[at] == ',' {
			at++
		}
		sum := maphash.Bytes(f.seed, j.B[at:])
		known[key[:1]+id] = sum
		if f.known[key[:1]+id] == sum { // taken back
			before.B = j.B[:len(before.B)]
			*j = before
			continue
		}
		written++
	}
	j.Close(']')
	return written
}

// removed writes which objects are gone.
func (f *foldedStream) removed(j *jsonout.Writer, known map[string]uint64) int {
	var nodes, edges []string
	for id := range f.known {
		if _, ok := known[id]; ok {
			continue
		}
		if id[0] == 'n' {
			nodes = append(nodes, id[1:])
		} else {
			edges = append(edges, id[1:])
		}
	}
	slices.Sort(nodes)
	slices.Sort(edges)
	j.Key("removed_nodes").Texts(nodes)
	j.Key("removed_edges").Texts(edges)
	return len(nodes) + len(edges)
}
