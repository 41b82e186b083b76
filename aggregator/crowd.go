package aggregator

import (
	"cmp"
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/doorkeeper"
)

// What happens when more series are wanted than there is room for.
//
// The problem: names are made by senders. Some seconds of junk must not fill the
// table so that newcomers have no series of their own until the junk is idle for
// cfg.IdleAfter; nor may junk push out what lives.
//
// Invariants:
//   - All of it is a function of the log: time is the log's, and who waits is part of the saved state (I2, I6).
//   - A series that saw something within restFew leaves for nobody.
//   - Each request is one increase of one series of the store, exactly once. What a series counted
//     that leaves stays its own: the next flush writes it, and the mark of its end. It is not moved to
//     the overflow series: the store has it already, so that sum(increase()) would count it twice.
//
// The rule, for the table of all series and for the names of one service alike:
//  1. While there is room, all are let in. The last part of the room (lastPart) is for new
//     series of what is known (an operation's first error) and for who comes again.
//  2. A key that is turned away counts in the overflow, or in {other}, and is remembered by a hash (doorkeeper.Door).
//  3. When it comes again after secondSight it is let in; where there is no room, it waits.
//  4. Once in makeRoomEvery of log time, while somebody waits, as many as wait leave: those that saw
//     least, of those that saw nothing for a while. It is one pass over the table, never done for a span.
//
// One service has at most half of all series (versions are senders' text, too); what is beyond
// is its {other}, without a version.
//
// Not chosen: to evict when a newcomer knocks, which costs a search a span under a flood; to evict
// what is least used though it lives, by which a flood of names that repeat would push out all quiet services.
const (
	secondSight   = 1e9 // nanoseconds, as all below
	makeRoomEvery = 1e9
	// restFew is how long a series must have seen nothing that saw at most few; restMany, one that saw more. Both are
	// under a minute, so that a minute after the end of a flood all of it may leave.
	restFew  = 20e9
	restMany = 45e9
	few      = 16

	lastPart  = 16 // the part of the table that is not for what is seen for the first time
	leavePart = 16 // the part of the table that may leave at once
	ownPart   = 2  // the part of the table that one service may have

	// doorMemory is how long the turned away are remembered, and doorSlots how many at most: 16 bytes each.
	doorMemory = 60e9
	doorSlots  = 1 << 16

	// maxLabel bounds a label's value, and labelBytes those of a series, on average over MaxSeries.
	maxLabel   = 256
	labelBytes = 1024
)

// Seeds that keep the kinds of keys at the door apart.
const (
	seedOperation = iota
	seedEdge
	seedName
)

// crowd is who waits to be let in.
type crowd struct {
	door     *doorkeeper.Door
	waiting  int        // for a series
	madeRoom int64      // log time
	names    []*service // those with names that wait for a name to leave, as they began to wait
}

func newCrowd(cfg *Config) crowd {
	return crowd{door: doorkeeper.New(min(cfg.MaxSeries, doorSlots), secondSight, doorMemory)}
}

// filled says that the table is filled up to a part of it.
func (a *Aggregator) filled(leaving int) bool {
	series, size := a.cfg.MaxSeries, int64(a.cfg.MaxSeries)*labelBytes
	if leaving > 0 {
		series, size = series-series/leaving, size-size/int64(leaving)
	}
	return a.live >= series || a.bytes >= size
}

// admit says whether a series may be made in a table of which the last part is reached.
func (a *Aggregator) admit(known bool, hash uint64) bool {
	if !known && !a.crowd.door.Knock(hash, a.now) {
		return false
	}
	if a.filled(0) {
		a.crowd.waiting++
		return false
	}
	return true
}

// admitName says whether a service that has its share of names, or had it lately, may have one more.
func (a *Aggregator) admitName(svc *service, name []byte) bool {
	svc.crowdedUntil = a.now + restMany
	if !a.crowd.door.Knock(svc.hash(seedName).Bytes(name).Sum(), a.now) {
		a.refuse(svc, name)
		return false
	}
	if svc.names() < a.cfg.MaxOperations {
		return true
	}
	if svc.waiting == 0 {
		a.crowd.names = append(a.crowd.names, svc)
	}
	svc.waiting++
	a.refuse(svc, name)
	return false
}

func (svc *service) hash(seed byte) doorkeeper.Hash {
	return doorkeeper.NewHash(seed).Text(svc.key.namespace).Text(svc.key.name)
}

func (k *operationKey) hash(name []byte) uint64 {
	return doorkeeper.NewHash(seedOperation).Text(k.namespace).Text(k.service).Text(k.version).Bytes(name).
		Byte(byte(k.kind)).Byte(byte(k.status)).Byte(byte(k.outcome)).Sum()
}

func hashEdge(e *telemetry.Edge) uint64 {
	h := doorkeeper.NewHash(seedEdge).Byte(byte(e.Protocol))
	for _, p := range [...]*telemetry.Endpoint{&e.Source, &e.Target} {
		h = h.Byte(byte(p.Node.Kind)).Text(p.Node.Cluster).Text(p.Node.Namespace).Text(p.Node.Name).
			Text(p.Workload).Text(p.App).Text(p.Version).Text(p.Principal).Text(p.System)
	}
	return h.Sum()
}

// makeRoom has the least telling leave while others wait.
func (a *Aggregator) makeRoom() {
	c := &a.crowd
	if c.waiting == 0 && len(c.names) == 0 || a.now < c.madeRoom+makeRoomEvery {
		return
	}
	c.madeRoom = a.now
	before := a.live
	a.leaveNames()
	a.leaveSeries(min(c.waiting-(before-a.live), max(1, a.cfg.MaxSeries/leavePart)))
	c.waiting = 0
	a.metrics.displaced.Add(float64(before - a.live))
}

// A candidate may leave: a series, or all series of a name of a service.
type candidate struct {
	count    uint64
	lastSeen int64
	series   []*series
}

func (c *candidate) rests(now int64) bool {
	rest := int64(restMany)
	if c.count <= few {
		rest = restFew
	}
	return now-c.lastSeen >= rest
}

func (c *candidate) less(d *candidate) int {
	return cmp.Or(cmp.Compare(bits.Len64(c.count), bits.Len64(d.count)), cmp.Compare(c.lastSeen, d.lastSeen))
}

// leave lets the n least telling of those that rest leave.
func (a *Aggregator) leave(n int, all []candidate) (left bool) {
	all = slices.DeleteFunc(all, func(c candidate) bool { return !c.rests(a.now) })
	slices.SortStableFunc(all, func(x, y candidate) int { return x.less(&y) })
	for _, c := range all[:max(0, min(n, len(all)))] {
		for _, s := range c.series {
			s.leaves = true
		}
		left = true
	}
	return left
}

func (a *Aggregator) leaveSeries(n int) {
	if n <= 0 {
		return
	}
	// One array for the candidates' series of one.
	every := make([]*series, 0, a.live)
	for _, op := range a.opOrder {
		every = append(every, &op.series)
	}
	for _, e := range a.edgeOrder {
		every = append(every, e.series...)
	}
	all := make([]candidate, 0, len(every)/4)
	for i, s := range every {
		if c := (candidate{s.latency.count, s.lastSeen, every[i : i+1]}); c.rests(a.now) {
			all = append(all, c)
		}
	}
	if a.leave(n, all) {
		a.sweepOperations(minTime)
		a.sweepEdges(minTime)
	}
}

// leaveNames has names leave of the services in which others wait.
func (a *Aggregator) leaveNames() {
	c := &a.crowd
	if len(c.names) == 0 {
		return
	}
	of := map[*service]map[string]*candidate{}
	order := map[*service][]*candidate{} // as they were made
	for _, op := range a.opOrder {
		svc := op.service
		if svc.waiting == 0 || op.key.name == other {
			continue
		}
		if of[svc] == nil {
			of[svc] = map[string]*candidate{}
		}
		cd := of[svc][op.key.name]
		if cd == nil {
			cd = &candidate{}
			of[svc][op.key.name] = cd
			order[svc] = append(order[svc], cd)
		}
		cd.count += op.latency.count
		cd.lastSeen = max(cd.lastSeen, op.lastSeen)
		cd.series = append(cd.series, &op.series)
	}
	left := false
	for _, svc := range c.names {
		var all []candidate
		for _, cd := range order[svc] {
			all = append(all, *cd)
		}
		left = a.leave(svc.waiting, all) || left
		svc.waiting = 0
	}
	c.names = nil
	if left {
		a.sweepOperations(minTime)
	}
}

// bounded is the text of a label: a name that is cut stays a name, and what shares its beginning shares its series.
func bounded(s string) string {
	if len(s) <= maxLabel {
		return s
	}
	end := maxLabel
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// boundedEdge is the edge itself, or a copy where names in it are cut.
func boundedEdge(e *telemetry.Edge) *telemetry.Edge {
	out := *e
	for _, p := range [...]*telemetry.Endpoint{&out.Source, &out.Target} {
		for _, s := range [...]*string{&p.Node.Cluster, &p.Node.Namespace, &p.Node.Name, &p.Workload, &p.App, &p.Version, &p.Principal, &p.System} {
			*s = bounded(*s)
		}
	}
	if out == *e {
		return e
	}
	return &out
}
