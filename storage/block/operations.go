package block

import (
	"cmp"
	"maps"
	"math"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/doorkeeper"
	"github.com/prometheus/client_golang/prometheus"
)

// The table of services and operations that were stored lately.
//
// The problem: services and operations are named by senders. One service that puts ids
// into the names of its operations must not hide the operations of others, and a
// flood of services not those that are there every day.
//
// Invariants:
//   - A service is listed whatever its operations are, as long as it is among the most telling maxServices.
//   - A service's operations take at most maxShare units; and while all together would take more than
//     maxOperations, the greatest shares are cut alike, until they fit.
//   - What is cut is counted, once a block.
//
// The rule: a block is added as a whole, so that one that is seen in it a hundred times
// is told from one that is seen once; then the least telling go. More telling is what
// was seen in more blocks, where each halfLife of absence halves their
// number; among those the one with more rows in one block, then the one seen later. What
// had to go is remembered by a hash for a while: when it comes again it is no longer new.
//
// Not chosen: to read the names out of the blocks at each question, which needs no table:
// thousands of blocks would have to be opened for a list that the web view asks for at each start.
const (
	// Limits of the table, in units: an entry is one, and one more for each unitBytes of its name.
	maxServices   = 10_000
	maxOperations = 50_000
	maxShare      = 1_000
	unitBytes     = 128

	halfLife = 6 * time.Hour
	// doorSlots is how many of those that had to go are remembered.
	doorSlots = 1 << 16
)

type serviceName struct{ name, namespace string }

func (n serviceName) units() int { return 1 + (len(n.name)+len(n.namespace))/unitBytes }

type operation struct {
	name string
	kind telemetry.SpanKind
}

func (op operation) units() int { return 1 + len(op.name)/unitBytes }

// sightings are how many rows of a block each operation has.
type sightings map[sighting]*int

type sighting struct {
	serviceName
	operation
}

func (s sightings) of(svc serviceName, op operation) (rows *int) {
	at := sighting{svc, op}
	if rows = s[at]; rows == nil {
		rows = new(int)
		s[at] = rows
	}
	return rows
}

// A mark is by what entries are told apart.
type mark struct {
	last   int64              // when last, by the log's clock
	blocks uint32             // in how many blocks
	block  telemetry.Position // the one that was counted last, by its first entry
	rows   int                // in the block that had most
}

func (m *mark) see(in *meta, rows int) {
	if m.block != in.first {
		m.blocks++
		m.block = in.first
	}
	m.last, m.rows = max(m.last, in.receivedMax), max(m.rows, rows)
}

// less puts the least telling first.
func (m *mark) less(n *mark, now int64) int {
	return cmp.Or(cmp.Compare(m.weight(now), n.weight(now)), cmp.Compare(bits.Len(uint(m.rows)), bits.Len(uint(n.rows))), cmp.Compare(m.last, n.last))
}

func (m *mark) weight(now int64) int {
	return bits.Len32(m.blocks >> min(31, max(0, now-m.last)/int64(halfLife)))
}

type listedService struct {
	mark
	name  serviceName
	units int // of ops
	ops   map[operation]*mark
	rows  int // of the block that is being added
}

type operations struct {
	mu       sync.Mutex
	services map[serviceName]*listedService
	units    int              // of services
	opUnits  int              // of their operations
	now      int64            // the latest that was added, by the log's clock
	door     *doorkeeper.Door // by the first positions of blocks: who comes again in the same block is not due

	dropped *prometheus.CounterVec
}

func newOperations() *operations {
	o := &operations{services: map[serviceName]*listedService{}, door: doorkeeper.New(doorSlots, 1, math.MaxInt64), dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "binnacle_block_operations_dropped_total",
		Help: "What the list of services had no room for, once a block: operations, with reason listed_operations, and whole services, with reason listed_services.",
	}, []string{"reason"})}
	o.count(0, 0) // so that both reasons are there from the start
	return o
}

// count counts what found no room.
func (o *operations) count(services, names int) {
	o.dropped.WithLabelValues("listed_services").Add(float64(services))
	o.dropped.WithLabelValues("listed_operations").Add(float64(names))
}

// add adds what a block has, or a head has so far, and returns how many services and operations
// found no room. To add a block again changes nothing.
func (o *operations) add(seen sightings, m *meta) (services, names int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now = max(o.now, m.receivedMax)
	at := int64(m.first)
	var touched []*listedService
	for key, rows := range seen {
		svc := o.services[key.serviceName]
		if svc == nil {
			svc = &listedService{name: key.serviceName, ops: map[operation]*mark{}, mark: o.newMark(key.serviceName.hash().Sum(), at)}
			o.services[svc.name] = svc
			o.units += svc.name.units()
		}
		if svc.rows == 0 {
			touched = append(touched, svc)
		}
		svc.rows += *rows
		op := svc.ops[key.operation]
		if op == nil {
			first := o.newMark(key.operation.hash(svc.name), at)
			op = &first
			svc.ops[key.operation] = op
			svc.units += key.operation.units()
			o.opUnits += key.operation.units()
		}
		op.see(m, *rows)
	}
	for _, svc := range touched {
		svc.see(m, svc.rows)
		svc.rows = 0
		names += o.cut(svc, maxShare, at)
	}
	if o.units > maxServices {
		services = o.cutServices(at)
	}
	if o.opUnits > maxOperations {
		names += o.cutShares(at)
	}
	return services, names
}

// newMark is the mark of an entry that the table does not have; that it had it before may be remembered.
func (o *operations) newMark(hash uint64, at int64) mark {
	if o.door.Due(hash, at) {
		return mark{blocks: 1}
	}
	return mark{}
}

func (n serviceName) hash() doorkeeper.Hash {
	return doorkeeper.NewHash(0).Text(n.name).Text(n.namespace)
}

func (op operation) hash(of serviceName) uint64 {
	return of.hash().Text(op.name).Byte(byte(op.kind)).Sum()
}

// cut takes the least telling operations from a service that has more than share units.
func (o *operations) cut(svc *listedService, share int, at int64) (gone int) {
	if svc.units <= share {
		return 0
	}
	order := slices.SortedFunc(maps.Keys(svc.ops), func(a, b operation) int {
		return cmp.Or(svc.ops[a].less(svc.ops[b], o.now), cmp.Compare(a.name, b.name), cmp.Compare(a.kind, b.kind))
	})
	for _, op := range order {
		if svc.units <= share {
			break
		}
		o.door.Knock(op.hash(svc.name), at)
		o.removeOperation(svc, op)
		gone++
	}
	return gone
}

// cutServices takes out the least telling services.
func (o *operations) cutServices(at int64) (gone int) {
	order := slices.SortedFunc(maps.Values(o.services), func(a, b *listedService) int {
		return cmp.Or(a.less(&b.mark, o.now), cmp.Compare(a.name.name, b.name.name), cmp.Compare(a.name.namespace, b.name.namespace))
	})
	for _, svc := range order {
		if o.units <= maxServices {
			break
		}
		o.door.Knock(svc.name.hash().Sum(), at)
		o.remove(svc)
		gone++
	}
	return gone
}

// cutShares finds the share with which all fit when none has more, and cuts to it.
func (o *operations) cutShares(at int64) (gone int) {
	units := make([]int, 0, len(o.services))
	for _, svc := range o.services {
		units = append(units, svc.units)
	}
	slices.Sort(units)
	left, share := maxOperations, 0
	for i, n := range units {
		if share = left / (len(units) - i); n >= share {
			break
		}
		left -= n
	}
	for _, svc := range o.services {
		gone += o.cut(svc, share, at)
	}
	return gone
}

func (o *operations) remove(svc *listedService) {
	o.units -= svc.name.units()
	o.opUnits -= svc.units
	delete(o.services, svc.name)
}

func (o *operations) removeOperation(svc *listedService, op operation) {
	delete(svc.ops, op)
	svc.units -= op.units()
	o.opUnits -= op.units()
}

// forget drops what was last seen before the age.
func (o *operations) forget(now time.Time, age time.Duration) {
	if age == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	limit := now.UnixNano() - int64(age)
	for _, svc := range o.services {
		if svc.last < limit {
			o.remove(svc)
			continue
		}
		for op, m := range svc.ops {
			if m.last < limit {
				o.removeOperation(svc, op)
			}
		}
	}
}

// entries puts the table in order.
func (o *operations) entries() []telemetry.ServiceEntry {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make([]telemetry.ServiceEntry, 0, len(o.services))
	for name, svc := range o.services {
		e := telemetry.ServiceEntry{Name: name.name, Namespace: name.namespace, Operations: make([]telemetry.OperationEntry, 0, len(svc.ops))}
		for op := range svc.ops {
			e.Operations = append(e.Operations, telemetry.OperationEntry{Name: op.name, Kind: op.kind.String()})
		}
		slices.SortFunc(e.Operations, func(a, b telemetry.OperationEntry) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
		})
		e.Operations = slices.Compact(e.Operations) // two kinds may have one name
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b telemetry.ServiceEntry) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
	})
	return out
}
