package aggregator

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry/doorkeeper"
)

// Who waits to be let in, as it is saved: a replay must let in the same, at the same place.

func (e *encoder) crowd(a *Aggregator) {
	c := &a.crowd
	e.uint(uint64(c.waiting))
	e.int(c.madeRoom)
	var crowded []*service
	for _, svc := range a.services {
		if svc.waiting > 0 || svc.crowdedUntil > a.now {
			crowded = append(crowded, svc)
		}
	}
	slices.SortFunc(crowded, func(x, y *service) int {
		return cmp.Or(cmp.Compare(x.key.namespace, y.key.namespace), cmp.Compare(x.key.name, y.key.name))
	})
	e.uint(uint64(len(crowded)))
	for _, svc := range crowded {
		e.str(svc.key.namespace)
		e.str(svc.key.name)
		e.uint(uint64(svc.waiting))
		e.uint(uint64(max(0, svc.crowdedUntil-a.now)))
	}
	knockers := c.door.Knockers(a.now)
	e.uint(uint64(c.door.Size()))
	e.uint(uint64(len(knockers)))
	for _, k := range knockers {
		e.uint(uint64(k.Slot))
		_, _ = e.w.Write(binary.LittleEndian.AppendUint64(e.tmp[:0], k.Hash))
		e.uint(uint64(a.now - k.First))
	}
}

func (d *decoder) crowd() {
	a := d.a
	c := &a.crowd
	c.waiting = int(d.below(1 << 40))
	c.madeRoom = d.int()
	for range d.count(4) {
		key := serviceKey{namespace: d.str(), name: d.str()}
		waiting, left := d.below(1<<40), d.below(1<<40)
		svc := a.services[key]
		if d.err != nil {
			return
		}
		if svc == nil || svc.waiting > 0 || svc.crowdedUntil != 0 || waiting+left == 0 {
			d.fail(fmt.Errorf("service %q has nothing that could wait, or waits twice", key.name))
			return
		}
		if svc.waiting = int(waiting); waiting > 0 {
			c.names = append(c.names, svc)
		}
		svc.crowdedUntil = a.now + int64(left)
	}
	size := d.uint()
	for range d.count(10) {
		k := doorkeeper.Knocker{Slot: int(d.below(1 << 40))}
		var hash [8]byte
		if _, err := io.ReadFull(d.in, hash[:]); err != nil {
			d.fail(errStateShort)
		}
		k.Hash = binary.LittleEndian.Uint64(hash[:])
		k.First = a.now - int64(d.below(doorMemory+1))
		if d.err != nil {
			return
		}
		// Under another limit on series the door is of another size: those who knocked knock again.
		if size == uint64(c.door.Size()) && !c.door.Restore(k) {
			d.fail(errors.New("one who waits is where nobody can wait"))
			return
		}
	}
}
