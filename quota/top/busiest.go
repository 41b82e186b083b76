package top

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/binnacle-mesh/binnacle/quota/window"
)

// Busiest keeps the keys that have used most in the current window. Counts are known exactly where hits are counted, so no
// sketch is needed: a key comes in when its count exceeds the least one here.
//
// A count is offered only when it has grown noticeably ([Busiest.Worth]), which makes the cost a few offers a key and window;
// the list may therefore lag by a factor of two for small counts and a sixteenth of the limit for large ones. Whoever reads it
// looks the exact counts up.
type Busiest struct {
	mu    sync.Mutex
	items []Busy
	floor atomic.Uint64 // least count here, once full; below it an offer is pointless
	start atomic.Int64  // window of floor
}

// Busy is one key of a Busiest.
type Busy struct {
	Key   window.Key
	Label []byte
	Start int64  // of the window in which Used was offered
	Used  uint64 // as offered
	Limit uint64
}

// keep is twice as many keys as are shown: the spare ones make up for the lag.
const keep = 20

// Worth says whether a count that went from before to after should be offered. It takes no lock.
func (b *Busiest) Worth(before, after, limit uint64, start int64) bool {
	step := max(1, limit/16)
	if bits.Len64(before) == bits.Len64(after) && before/step == after/step {
		return false
	}
	return b.start.Load() != start || after > b.floor.Load()
}

// Lock and Unlock are held around Offer and the setting of the item's Label.
func (b *Busiest) Lock() { b.mu.Lock() }

// Unlock ends what Lock began.
func (b *Busiest) Unlock() { b.mu.Unlock() }

// Offer puts a key into the list if it belongs there. fresh asks the caller to set the item's Label; the item is nil if the key
// does not belong.
func (b *Busiest) Offer(k window.Key, used, limit uint64, start int64) (item *Busy, fresh bool) {
	least := -1
	for i := range b.items {
		it := &b.items[i]
		if it.Key == k {
			it.Start, it.Used, it.Limit = start, used, limit
			b.lower(start)
			return it, false
		}
		if least < 0 || it.before(&b.items[least]) {
			least = i
		}
	}
	switch {
	case len(b.items) < keep:
		b.items = append(b.items, Busy{})
		least = len(b.items) - 1
	case b.items[least].Start >= start && b.items[least].Used >= used:
		return nil, false
	}
	it := &b.items[least]
	it.Key, it.Start, it.Used, it.Limit = k, start, used, limit
	b.lower(start)
	return it, true
}

// before orders by window, then by use.
func (a *Busy) before(b *Busy) bool {
	if a.Start != b.Start {
		return a.Start < b.Start
	}
	return a.Used < b.Used
}

// lower works out the floor for window start.
func (b *Busiest) lower(start int64) {
	floor := ^uint64(0)
	for i := range b.items {
		if b.items[i].Start < start {
			floor = 0 // a place is held by a window that has ended
			break
		}
		floor = min(floor, b.items[i].Used)
	}
	if len(b.items) < keep {
		floor = 0
	}
	b.floor.Store(floor)
	b.start.Store(start)
}

// List returns a copy of the list, in no order.
func (b *Busiest) List() []Busy {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]Busy, len(b.items))
	for i := range b.items {
		list[i] = b.items[i]
		list[i].Label = append([]byte(nil), b.items[i].Label...)
	}
	return list
}
