package analysis

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// What changed between two ranges.
//
// The problem: any two ranges of a living system differ everywhere, by chance. Of ten thousand edges a test that is wrong once in a hundred times is
// wrong a hundred times.
//
// The rule. Each thing that may have changed is tested by itself (chance.go):
//
//	a rate, and whether a node, edge or version was there at all: as events that come at random;
//	the share of errors, of throttled requests: as two proportions;
//	a quantile of the latency: by the share of requests that took longer than the lesser of both, from the buckets.
//
// A change is certain if chance would make one as great less often than alpha in all tests of the comparison together (Bonferroni): where
// nothing has changed, one comparison in a hundred names anything at all. It must be worth naming besides: with a million requests
// every change is certain.
//
// Not chosen: the false discovery rate (it lets more through, and each is a wrong figure on a map); one test of the whole distribution of
// latencies (it does not say which figure changed, and the figure that is shown may have changed by chance).

const (
	alpha = 0.01
	// leastRatio is by how much a rate or a latency must have changed: what is less is within the width of a bucket.
	leastRatio = 1.1
	// leastShare is by how much a share must have changed.
	leastShare = 0.001
	// shareBase is added to shares before their ratio is the size of a change: from none to one in a thousand is no great change.
	shareBase = 0.01
)

// Figure is what changed.
type Figure uint8

// The figures.
const (
	FigureRate Figure = iota
	FigureErrors
	FigureThrottled
	FigureP50
	FigureP90
	FigureP99
	FigureVersion
)

var figureNames = [...]string{"rate", "errors", "throttled", "p50", "p90", "p99", "version"} //nolint:gochecknoglobals // immutable

// String is the figure as the HTTP API writes it.
func (f Figure) String() string { return figureNames[f] }

// Fate is what became of a node, an edge or a version.
type Fate uint8

// The fates.
const (
	Added Fate = iota
	Gone
	Changed
)

var fateNames = [...]string{"added", "gone", "changed"} //nolint:gochecknoglobals // immutable

// String is the fate as the HTTP API writes it.
func (f Fate) String() string { return fateNames[f] }

// A Change is that of one figure.
type Change struct {
	Figure        Figure
	Fate          Fate    // of a version; of all others Changed
	Version       string  // of a version
	Before, After float64 // requests a second; shares; milliseconds; of a version requests
	Chance        float64 // that no more than chance made it, tested alone
	Certain       bool    // it is neither chance nor too small to name
}

// Size is how great the change is, to put changes in an order.
func (c *Change) Size() float64 {
	switch c.Figure {
	case FigureErrors, FigureThrottled:
		return math.Abs(math.Log((c.After + shareBase) / (c.Before + shareBase)))
	case FigureVersion:
		return 0
	default:
		if c.Before == 0 || c.After == 0 {
			return 0
		}
		return math.Abs(math.Log(c.After / c.Before))
	}
}

func (c *Change) worthNaming() bool {
	switch c.Figure {
	case FigureErrors, FigureThrottled:
		return math.Abs(c.After-c.Before) >= leastShare
	case FigureVersion:
		return true
	default:
		return c.Size() >= math.Log(leastRatio)
	}
}

// A Difference is what became of a node or an edge. Indexes are those of the graphs that were compared, -1 where it is not in one.
type Difference struct {
	Fate          Fate
	Before, After int
	Requests      float64 // of one that is added or gone
	Chance        float64 // of one that is added or gone: that it came or stayed away by chance
	Certain       bool    // it is, or one of its changes
	Changes       []Change
}

func (d *Difference) size() float64 {
	if d.Fate != Changed {
		return d.Requests
	}
	size := 0.0
	for i := range d.Changes {
		if d.Changes[i].Certain {
			size = max(size, d.Changes[i].Size())
		}
	}
	return size
}

// A GraphDiff is what changed from one range to another, what was added first, then what is gone, then what changed; of these the greatest first.
type GraphDiff struct {
	Nodes, Edges []Difference
	Tests        int     // that were made
	Threshold    float64 // a chance below it is certain
}

// CompareGraphs is what changed from before to after. Differences that may be chance are in it: certain says which are not. Figures that did not
// change at all are not.
func CompareGraphs(before, after *telemetry.GraphRange) GraphDiff {
	var d GraphDiff
	share := after.Seconds / (before.Seconds + after.Seconds)
	b, a := before.Graph, after.Graph
	merge(len(b.Nodes), len(a.Nodes), func(i, k int) int { return strings.Compare(b.Nodes[i].ID, a.Nodes[k].ID) }, func(i, k int) {
		var x, y *telemetry.GraphNode
		if i >= 0 {
			x = &b.Nodes[i]
		}
		if k >= 0 {
			y = &a.Nodes[k]
		}
		n := Difference{Before: i, After: k, Fate: fateOf(i, k)}
		if n.Fate == Changed {
			d.figures(&n, &before.Nodes[i], &after.Nodes[k], x.Windows["range"], y.Windows["range"], before.Seconds, after.Seconds)
			d.versions(&n, before.Nodes[i].Versions, after.Nodes[k].Versions, share)
		} else {
			d.presence(&n, before.Nodes, after.Nodes, share)
		}
		d.Nodes = append(d.Nodes, n)
	})
	merge(len(b.Edges), len(a.Edges), func(i, k int) int { return strings.Compare(b.Edges[i].ID, a.Edges[k].ID) }, func(i, k int) {
		e := Difference{Before: i, After: k, Fate: fateOf(i, k)}
		if e.Fate == Changed {
			d.figures(&e, &before.Edges[i], &after.Edges[k], b.Edges[i].Windows["range"], a.Edges[k].Windows["range"], before.Seconds, after.Seconds)
		} else {
			d.presence(&e, before.Edges, after.Edges, share)
		}
		d.Edges = append(d.Edges, e)
	})
	d.Threshold = alpha / float64(max(1, d.Tests))
	d.Nodes, d.Edges = d.decide(d.Nodes), d.decide(d.Edges)
	return d
}

// merge calls both for each of two sorted lists' elements, with -1 for the one that a list does not have.
func merge(n, m int, compare func(i, k int) int, both func(i, k int)) {
	for i, k := 0, 0; i < n || k < m; {
		var order int
		switch {
		case i == n:
			order = 1
		case k == m:
			order = -1
		default:
			order = compare(i, k)
		}
		switch {
		case order < 0:
			both(i, -1)
			i++
		case order > 0:
			both(-1, k)
			k++
		default:
			both(i, k)
			i++
			k++
		}
	}
}

func fateOf(before, after int) Fate {
	switch {
	case before < 0:
		return Added
	case after < 0:
		return Gone
	default:
		return Changed
	}
}

// presence tests whether one that is in one range alone stayed away from the other by chance.
func (d *GraphDiff) presence(n *Difference, before, after []telemetry.Counted, share float64) {
	d.Tests++
	if n.Fate == Added {
		n.Requests = presenceOf(&after[n.After])
		n.Chance = chanceOfRate(0, math.Round(n.Requests), share)
		return
	}
	n.Requests = presenceOf(&before[n.Before])
	n.Chance = chanceOfRate(math.Round(n.Requests), 0, share)
}

// presenceOf are those that show that something was there: of a node that nobody calls, its own.
func presenceOf(c *telemetry.Counted) float64 { return max(c.Requests, c.Calls) }

// figures tests all figures of one that is in both ranges.
func (d *GraphDiff) figures(n *Difference, before, after *telemetry.Counted, was, is telemetry.Signals, secondsBefore, secondsAfter float64) {
	x, y := math.Round(before.Requests), math.Round(after.Requests)
	if x+y == 0 {
		return
	}
	d.test(n, Change{Figure: FigureRate, Fate: Changed, Before: was.Rate, After: is.Rate, Chance: chanceOfRate(x, y, secondsAfter/(secondsBefore+secondsAfter))})
	if x == 0 || y == 0 {
		return
	}
	shares := func(f Figure, a, b float64) {
		if a+b > 0 {
			d.test(n, Change{Figure: f, Fate: Changed, Before: a / before.Requests, After: b / after.Requests, Chance: chanceOfShare(math.Round(a), x, math.Round(b), y)})
		}
	}
	shares(FigureErrors, before.Errors, after.Errors)
	shares(FigureThrottled, before.Throttled, after.Throttled)
	for _, q := range [...]struct {
		figure   Figure
		of       float64
		was, now *float64
	}{{FigureP50, 0.5, was.P50, is.P50}, {FigureP90, 0.9, was.P90, is.P90}, {FigureP99, 0.99, was.P99, is.P99}} {
		if q.was != nil && q.now != nil {
			d.test(n, Change{Figure: q.figure, Fate: Changed, Before: *q.was, After: *q.now, Chance: chanceOfQuantile(before.Times, after.Times, q.of)})
		}
	}
}

// chanceOfQuantile tests the shares that took longer than the lesser of both quantiles: if they are the same, the shares are.
func chanceOfQuantile(before, after []telemetry.TimeCount, q float64) float64 {
	x, n := bucketAt(before, q)
	y, m := bucketAt(after, q)
	at := min(x, y)
	return chanceOfShare(longer(before, at), n, longer(after, at), m)
}

// bucketAt is the bucket that holds a quantile, and how many there are in all.
func bucketAt(times []telemetry.TimeCount, q float64) (bucket int32, all float64) {
	for _, c := range times {
		all += c.Count
	}
	rank := q * all
	for _, c := range times {
		bucket = c.Bucket
		if rank -= c.Count; rank <= 0 {
			break
		}
	}
	return bucket, math.Round(all)
}

// longer is how many took longer than what a bucket holds.
func longer(times []telemetry.TimeCount, than int32) (n float64) {
	for _, c := range times {
		if c.Bucket > than {
			n += c.Count
		}
	}
	return math.Round(n)
}

// versions tests which versions of a node came and went.
func (d *GraphDiff) versions(n *Difference, before, after []telemetry.VersionCount, share float64) {
	merge(len(before), len(after), func(i, k int) int { return strings.Compare(before[i].Version, after[k].Version) }, func(i, k int) {
		c := Change{Figure: FigureVersion, Fate: fateOf(i, k)}
		switch c.Fate {
		case Added:
			c.Version, c.After = after[k].Version, after[k].Requests
		case Gone:
			c.Version, c.Before = before[i].Version, before[i].Requests
		default:
			return
		}
		c.Chance = chanceOfRate(math.Round(c.Before), math.Round(c.After), share)
		d.test(n, c)
	})
}

// test notes a change that was tested, if it is one.
func (d *GraphDiff) test(n *Difference, c Change) {
	d.Tests++
	if c.Before != c.After {
		n.Changes = append(n.Changes, c)
	}
}

// decide says what is certain, and puts the differences in their order. What did not change at all is left out.
func (d *GraphDiff) decide(all []Difference) []Difference {
	out := all[:0]
	for i := range all {
		n := &all[i]
		n.Certain = n.Fate != Changed && n.Chance < d.Threshold
		for k := range n.Changes {
			c := &n.Changes[k]
			c.Certain = c.Chance < d.Threshold && c.worthNaming()
			n.Certain = n.Certain || c.Certain
		}
		if n.Fate != Changed || len(n.Changes) > 0 {
			out = append(out, *n)
		}
	}
	slices.SortStableFunc(out, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Fate, b.Fate), cmp.Compare(b.size(), a.size()))
	})
	return out
}
