package topology

import (
	"hash/maphash"
	"sync"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/annals"
	"github.com/binnacle-mesh/binnacle/topology/pair"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// Topology is the live service graph. All methods are safe for concurrent use,
// but Consume, which must see the log in order, and Tick belong to one caller: what the
// one returns is good until either is called again.
//
// Invariants:
//
//   - A half is counted on at most one edge, under its own witness. What is
//     counted of an edge is the sum over the halves whose Edge leads to it, and over
//     those that have left the table.
//   - State is a function of the log and of the times given to Tick.
//   - Nothing holds on to a batch.
type Topology struct {
	cfg    Config
	limits limits

	mu      sync.Mutex
	applied telemetry.Position
	now     int64 // Unix nanoseconds, the latest seen; never goes back
	tick    int64 // now in ticks of signal.Tick
	cursor  signal.Cursor
	back    signal.Cursor // of a tick in the past: see cursorAt

	pending  *pair.Table
	nodes    nodes
	edges    edges
	door     recent // see door.go
	repeats  recent // see repeat.go
	lates    lates  // see late.go
	flood    flood
	observed observations
	scratch  scratch
	stats    Stats
	// A sum of what was prefetched: it keeps the compiler from leaving that out.
	prefetched uint64

	nextSweep int64 // when the old are next looked for
	looked    int64 // the latest time given to Tick

	observant observant
	events    events
	doubts    doubts
	pub       publisher
	hub       hub
}

// limits bound what has no setting, each by a constant; tests take less.
type limits struct {
	variants      int // endpoints of a node
	routesPerEdge int
	routes        int // in all
	principals    int // beyond four a node
}

// New makes an empty topology. The configuration has been validated.
func New(cfg Config) *Topology {
	t := &Topology{cfg: cfg, limits: limits{maxVariants, maxRoutesPerEdge, 8 * cfg.MaxEdges, 64}}
	t.pending = pair.New(cfg.MaxPending, maphash.Bytes(maphash.MakeSeed(), nil))
	t.door = newRecent(doorRows, doorRow, doorKeeps)
	t.repeats = newRecent(repeatRows, repeatRow, repeatKeeps)
	t.lates = newLates(cfg.MaxLate)
	t.nodes.init()
	t.edges.init()
	t.pub.init()
	t.observant.verdict.init()
	t.events.annals = annals.New(cfg.annals())
	t.cursor, t.back = signal.At(0), signal.At(0)
	return t
}

// empty is a topology without state, of the same limits.
func (t *Topology) empty() *Topology {
	n := New(t.cfg)
	n.limits = t.limits
	n.pending.Limit(t.pending.Max())
	return n
}

// Applied is the position of the last entry that the state contains.
func (t *Topology) Applied() telemetry.Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.applied
}

// Consume applies an entry of the log, and returns what it has taught: each
// request once, when both its ends are known or the wait for the other half is over.
// An entry that was applied before teaches nothing. Consume never fails: bad
// data is counted.
func (t *Topology) Consume(e telemetry.Entry) telemetry.Observed {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.observed.reclaim()
	before := t.applied
	if e.Position <= before {
		return t.observed.lend(before, before)
	}
	t.advance(e.Batch.Received)
	t.events.received = t.now
	if !t.repeated(e.Batch) {
		t.take(e.Batch)
	}
	t.sweepEmptied()
	t.applied = e.Position
	t.pub.changed = true
	return t.observed.lend(before, e.Position)
}

// take counts all of a batch.
func (t *Topology) take(b *telemetry.Batch) {
	t.begin(b)
	spans := b.Spans
	for i := range spans {
		if i%prefetchAhead == 0 {
			t.prefetchSpans(spans[i:min(i+prefetchAhead, len(spans))])
		}
		s := &spans[i]
		k := &t.scratch.keys[i%prefetchAhead]
		switch s.Kind {
		case telemetry.KindClient, telemetry.KindProducer:
			t.clientSpan(s, k)
		case telemetry.KindServer, telemetry.KindConsumer:
			t.serverSpan(s, k)
		case telemetry.KindUnspecified, telemetry.KindInternal:
			if s.Kind == telemetry.KindUnspecified && s.Peer != 0 {
				t.clientSpan(s, k) // nobody else names whom it calls
			} else {
				t.innerSpan(s, k)
			}
		default:
			// Not a hop.
		}
	}
	requests := b.Requests
	for i := range requests {
		if i%prefetchAhead == 0 {
			t.prefetchRequests(requests[i:min(i+prefetchAhead, len(requests))])
		}
		t.request(&requests[i], t.scratch.keys[i%prefetchAhead].refers)
	}
	t.sketch(b)
}

// Tick says what time it is, in Unix nanoseconds, while nothing arrives: halves
// become final, rates decay, the forgotten leaves, and a snapshot is published
// if one is due and anybody waits for it. It returns the halves that became final. Call it every 50 to 200 ms.
func (t *Topology) Tick(now int64) telemetry.Observed {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.observed.reclaim()
	watched := t.hub.watched() // before anything is told, which wakes those who wait
	if !t.events.running && t.now > 0 {
		t.resumeDoubts(now)
	}
	t.events.resume(t.now)
	t.advance(now)
	t.sweepEmptied()
	if now > t.looked { // a time that is told again, as when a log is replayed behind a checkpoint, is no new look
		before := t.looked
		t.looked = now
		t.look(before)
		t.judge(before)
		t.freeze(before)
		t.happen(before)
		t.doubt(before)
	}
	t.publishFor(watched)
	return t.observed.lend(t.applied, t.applied)
}

// advance moves the present.
func (t *Topology) advance(now int64) {
	if now <= t.now {
		return
	}
	tick := now / signal.Tick
	due := tick/evictEvery != t.tick/evictEvery
	if tick != t.tick {
		t.expire(tick)
		t.tick = tick
		t.cursor = signal.At(tick)
	}
	t.now = now
	if due {
		t.evict()
	}
	if now >= t.nextSweep {
		t.forget()
		t.nextSweep = now + min(int64(t.cfg.ForgetAfter)/8, 60e9)
	}
}
