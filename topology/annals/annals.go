// Package annals remembers what a service graph has had, far longer than the graph itself: who calls whom, and in which versions nodes run. By that it tells
// what is new and what has vanished, and keeps what it told.
//
// It is a pure core: what is seen, and when, is told to it. State is in save.go and load.go, as docs/format/topology.md draws it.
package annals

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: the graph forgets a call after an hour without it, so that to the graph each call of a nightly job is a new dependency, and each morning
// something has vanished. After a start all is new, and after a pause of the senders all has vanished. Who floods tables with names makes news of each.
//
// The rules:
//
//	What is seen in the first learns of hearing anything at all is taken as having been there.
//	Silence is counted in time in which others were heard: no pause of the server, or of what sends to it, makes anything vanish.
//	A call has vanished that was made for longerThan or more, when it has been silent for as long as Vanishes says, and twice as long as it ever
//	was before: a weekly job is missed once too soon at most.
//	Each caller, and each that makes names, has so much news in an hour, and all together; what is beyond is remembered, and not told. What is part of a flood of names
//	is remembered as that, and never told of.
//
// Not chosen: all that was ever seen, out of the series (a question that reads weeks, and knows nothing of silence).

const (
	learns     = int64(5 * time.Minute)
	longerThan = int64(time.Hour)
	// pauses is for how long all may be silent until silence is no longer counted.
	pauses = int64(5 * time.Minute)
	// mostStep is the most that one look adds to the time in which others were heard.
	mostStep = int64(time.Minute)

	mostEvents   = 4096
	mostVersions = 32 // of a node
	newsOfOne    = 32 // in an hour
	newsOfAll    = 512
)

// Config bounds what is remembered.
type Config struct {
	Vanishes time.Duration // for how long a call must be silent
	Pairs    int           // callers and callees that are remembered
	Nodes    int           // nodes whose versions are
}

// Annals are what is remembered: dependencies, and of nodes their versions and where they run. They are for one caller at a time.
type Annals struct {
	cfg Config

	began, looked int64 // Unix ns of the first and the latest look; 0: there was none
	heard         int64 // nanoseconds in which anything was heard
	swept         int64 // Unix ns: when what has vanished was last looked for
	pairs         map[uint64]*Pair
	nodes         map[uint64]*member
	events        []telemetry.GraphEvent // as they were told
	since         int64                  // Unix ns: events before it may have been forgotten
	stats         Stats

	hour int64 // which the budget is of
	all  int
	by   map[string]int
	left Left
}

// Left is the news of an hour that was left out for want of a budget.
type Left struct {
	Count uint64
	Of    string // in whose name it was; "" if in more than one's, or that of all was spent
	Since int64  // Unix ns of the first
}

// Stats count what became of news.
type Stats struct {
	LeftOut   uint64 // for want of a budget, or as part of a flood
	Forgotten uint64 // events, for want of room
	Displaced uint64 // pairs and nodes, for want of room: they are new once more
	Pairs     int    // that are remembered
}

// A Pair is a caller and a callee that are known. Whoever holds one must ask whether it is still remembered.
type Pair struct {
	source, target string // GraphNode.ID
	first, last    int64  // Unix ns
	heard          int64  // in the time of hearing: when it was last
	gap            int64  // its longest silence, likewise
	junk           bool   // of a flood of names
	gone           bool   // it was told that it has vanished
	displaced      bool   // it is not remembered any more
}

// member is a node of which more is known than its name.
type member struct {
	id          string
	cluster     string // where it runs
	first, last int64
	editions    []edition
}

type edition struct {
	version     string
	first, last int64
}

// New are annals in which nothing is remembered.
func New(cfg Config) *Annals {
	return &Annals{cfg: cfg, pairs: map[uint64]*Pair{}, nodes: map[uint64]*member{}, by: map[string]int{}}
}

// Begin begins a look at now, which is later than the one before. received is when anything was last heard.
func (a *Annals) Begin(now, received int64) {
	if a.began == 0 {
		a.began, a.looked, a.since, a.swept = now, now, now, now
	}
	if now-received < pauses {
		a.heard += min(max(now-a.looked, 0), mostStep)
	}
	a.looked = now
	if h := now / int64(time.Hour); h != a.hour {
		a.hour, a.all, a.left = h, 0, Left{}
		clear(a.by)
	}
}

// learning says that all is taken as having been there.
func (a *Annals) learning() bool { return a.heard < learns }

// Known is the pair of that number, nil if there is none.
func (a *Annals) Known(number uint64) *Pair { return a.pairs[number] }

// Remembered says that a pair may be used on.
func (p *Pair) Remembered() bool { return p != nil && !p.displaced }

// Seen notes when a pair was last seen. It says whether it had vanished, and is to be told of again.
func (a *Annals) Seen(p *Pair, last int64) (back bool) {
	if last <= p.last {
		return false
	}
	p.last = last
	heard := max(p.heard, a.heard-max(0, a.looked-last))
	p.gap = max(p.gap, heard-p.heard)
	p.heard = heard
	back, p.gone = p.gone && !p.junk, false
	return back
}

// A Sight is a pair that the annals do not know.
type Sight struct {
	Number         uint64
	Source, Target string // GraphNode.ID
	First, Last    int64  // Unix ns
	Junk           bool   // it is part of a flood of names
}

// Add remembers a pair, and says whether it is worth telling of.
func (a *Annals) Add(s Sight) (p *Pair, news bool) {
	p = &Pair{source: s.Source, target: s.Target, first: s.First, last: s.Last, heard: max(0, a.heard-max(0, a.looked-s.Last)), junk: s.Junk}
	a.pairs[s.Number] = p
	if s.Junk {
		a.Junk()
	}
	return p, !s.Junk && !a.learning()
}

// Version notes that a node was seen in a version. It says whether that is worth telling of, and in which versions it was known before, the latest last.
func (a *Annals) Version(number uint64, id, version string, seen int64) (before []string, news bool) {
	m := a.member(number, id, seen)
	for i := range m.editions {
		if e := &m.editions[i]; e.version == version {
			e.last = max(e.last, seen)
			return nil, false
		}
	}
	const together = int64(time.Minute) // versions that come with the node are no news of it
	news = len(m.editions) > 0 && seen-m.first >= together && !a.learning()
	slices.SortStableFunc(m.editions, func(x, y edition) int {
		return cmp.Or(cmp.Compare(x.last, y.last), strings.Compare(x.version, y.version))
	})
	if news {
		for i := range m.editions {
			before = append(before, m.editions[i].version)
		}
	}
	if len(m.editions) >= mostVersions {
		m.editions = slices.Delete(m.editions, 0, 1)
	}
	m.editions = append(m.editions, edition{version: version, first: seen, last: seen})
	return before, news
}

func (a *Annals) member(number uint64, id string, seen int64) *member {
	m := a.nodes[number]
	if m == nil {
		m = &member{id: id, first: seen}
		a.nodes[number] = m
	}
	m.last = max(m.last, seen)
	return m
}

// Place notes in which cluster a node runs.
func (a *Annals) Place(number uint64, id, cluster string, seen int64) {
	a.member(number, id, seen).cluster = cluster
}

// Cluster is where a node was last known to run, "" if that is not known.
func (a *Annals) Cluster(number uint64) string {
	if m := a.nodes[number]; m != nil {
		return m.cluster
	}
	return ""
}

// A Vanished is a pair that has just been missed.
type Vanished struct {
	Source, Target string
	First, Last    int64         // Unix ns
	Silent         time.Duration // while others were heard
	Gap            time.Duration // the longest that it was silent before
}

// End ends a look: it forgets what is too much, and, once a minute, says what has vanished.
func (a *Annals) End() (gone []Vanished) {
	a.makeRoom()
	if a.looked-a.swept < int64(time.Minute) {
		return nil
	}
	a.swept = a.looked
	for _, p := range a.pairs {
		silent := a.heard - p.heard
		if p.gone || silent < max(int64(a.cfg.Vanishes), 2*p.gap) {
			continue
		}
		p.gone = true
		if !p.junk && p.last-p.first >= longerThan {
			gone = append(gone, Vanished{p.source, p.target, p.first, p.last, time.Duration(silent), time.Duration(p.gap)})
		}
	}
	slices.SortFunc(gone, func(x, y Vanished) int {
		return cmp.Or(strings.Compare(x.Source, y.Source), strings.Compare(x.Target, y.Target))
	})
	return gone
}

// makeRoom forgets an eighth where there is too much: junk first, then what vanished, then what was seen least lately.
func (a *Annals) makeRoom() {
	if len(a.pairs) > a.cfg.Pairs {
		numbers := make([]uint64, 0, len(a.pairs))
		for n := range a.pairs {
			numbers = append(numbers, n)
		}
		rank := func(p *Pair) int { return 2*btoi(!p.junk) + btoi(!p.gone) }
		slices.SortFunc(numbers, func(x, y uint64) int {
			p, q := a.pairs[x], a.pairs[y]
			return cmp.Or(cmp.Compare(rank(p), rank(q)), cmp.Compare(p.last, q.last), cmp.Compare(x, y))
		})
		for _, n := range numbers[:len(numbers)-a.cfg.Pairs+a.cfg.Pairs/8] {
			a.pairs[n].displaced = true
			delete(a.pairs, n)
			a.stats.Displaced++
		}
	}
	if len(a.nodes) > a.cfg.Nodes {
		numbers := make([]uint64, 0, len(a.nodes))
		for n := range a.nodes {
			numbers = append(numbers, n)
		}
		slices.SortFunc(numbers, func(x, y uint64) int {
			return cmp.Or(cmp.Compare(a.nodes[x].last, a.nodes[y].last), cmp.Compare(x, y))
		})
		for _, n := range numbers[:len(numbers)-a.cfg.Nodes+a.cfg.Nodes/8] {
			delete(a.nodes, n)
			a.stats.Displaced++
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Afford says that there may be news of all of these once more in this hour, and counts it; or that it is left out.
func (a *Annals) Afford(of ...string) bool {
	for _, s := range of {
		if s != "" && a.by[s] >= newsOfOne {
			a.leave(s)
			return false
		}
	}
	if a.all >= newsOfAll {
		a.leave("")
		return false
	}
	a.all++
	for _, s := range of {
		if s != "" {
			a.by[s]++
		}
	}
	return true
}

func (a *Annals) leave(of string) {
	a.stats.LeftOut++
	if a.left.Count == 0 {
		a.left.Of, a.left.Since = of, a.looked
	}
	if a.left.Count++; a.left.Of != of {
		a.left.Of = ""
	}
}

// LeftOut is what was left out in the present hour.
func (a *Annals) LeftOut() Left { return a.left }

// Junk counts news that is part of a flood of names, and left out.
func (a *Annals) Junk() { a.stats.LeftOut++ }

// Tell keeps an event.
func (a *Annals) Tell(e telemetry.GraphEvent) {
	if len(a.events) >= mostEvents {
		n := mostEvents / 8
		for i := range a.events[:n] {
			a.since = max(a.since, a.events[i].At+1)
		}
		a.events = append(make([]telemetry.GraphEvent, 0, mostEvents), a.events[n:]...)
		a.stats.Forgotten += uint64(n)
	}
	a.events = append(a.events, e)
}

// Events are those that were told, in that order; what happened before since may be missing. The list is for reading, until the next call of Tell.
func (a *Annals) Events() (list []telemetry.GraphEvent, since int64) { return a.events, a.since }

// Stats are the counters.
func (a *Annals) Stats() Stats {
	s := a.stats
	s.Pairs = len(a.pairs)
	return s
}

// Bounds changes what is remembered at most, and when something has vanished.
func (a *Annals) Bounds(cfg Config) { a.cfg = cfg }
