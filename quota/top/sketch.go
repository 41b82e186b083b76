// Package top finds the few keys of many that matter most, in constant memory: those refused most ([Sketch]) and those that
// have used most of their window ([Busiest]). It is what lets a quota server name who was limited without a series for every
// client.
//
// Both are pure: time is an argument. Both carry their own lock, to be held around a call and around the use of what it returns.
package top

import (
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/binnacle-mesh/binnacle/quota/window"
)

// lambda makes a weight fade such that a steady stream of r events a second weighs r/lambda: an exponential mean
// over a minute.
const lambda = 1.0 / 60

// Sketch is the Space-Saving algorithm (Metwally, Agrawal, El Abbadi, 2005) over weights that fade with a time constant of a
// minute (forward decay; Cormode, Shkapenyuk, Srivastava, Xu, 2009).
//
// It keeps k keys. A key that is not among them takes the place of the lightest and inherits its weight, as the most it can
// have weighed unseen. So the heaviest keys are always present: any key with more than 1/k of the whole weight is. What a key
// is reported with leaves the inheritance out, and is thus never too much.
//
// Fading costs nothing per key: instead of all weights shrinking with time, what is added grows, and all are divided now and then.
type Sketch struct {
	sync.Mutex
	k        int
	items    []Item
	index    map[window.Key]int
	landmark float64 // Unix seconds at which one event weighs 1
	evicted  uint64
}

// Item is one key of a sketch.
type Item struct {
	Key   window.Key
	Label []byte // the caller's: set when Add says that the item is fresh, its capacity reused
	Tag   uint32 // the caller's
	Count uint64 // events since the key came in

	weight, inherited float64
}

// NewSketch makes a sketch of k keys.
func NewSketch(k int) *Sketch { return &Sketch{k: k, index: make(map[window.Key]int)} }

// growth is how much heavier than at the landmark events may become before weights are divided: e^30, far from overflow.
const growth = 30

// Add counts n events of a key at now, in Unix seconds, and returns its item. fresh means that the item stood for another key,
// or none, before: the caller sets Label (appending to Label[:0]) and Tag. The item is valid while the lock is held.
func (s *Sketch) Add(k window.Key, n uint64, now float64) (item *Item, fresh bool) {
	age := (now - s.landmark) * lambda
	if age > growth || len(s.items) == 0 {
		s.rebase(now)
		age = 0
	}
	w := float64(n) * math.Exp(max(age, -growth)) // a clock set back adds little instead of nothing
	if i, ok := s.index[k]; ok {
		it := &s.items[i]
		it.weight += w
		it.Count += n
		return it, false
	}
	if len(s.items) < s.k {
		s.index[k] = len(s.items)
		s.items = append(s.items, Item{Key: k, Count: n, weight: w})
		return &s.items[len(s.items)-1], true
	}
	least := 0
	for i := range s.items {
		if s.items[i].weight < s.items[least].weight {
			least = i
		}
	}
	it := &s.items[least]
	delete(s.index, it.Key)
	s.index[k] = least
	s.evicted++
	it.Key, it.Count, it.inherited, it.weight = k, n, it.weight, it.weight+w
	return it, true
}

func (s *Sketch) rebase(now float64) {
	f := math.Exp((s.landmark - now) * lambda)
	for i := range s.items {
		s.items[i].weight *= f
		s.items[i].inherited *= f
	}
	s.landmark = now
}

// Evicted returns how often a key had to make room for another.
func (s *Sketch) Evicted() uint64 {
	s.Lock()
	defer s.Unlock()
	return s.evicted
}

// Ranked is an item as read: its label copied, its rate worked out.
type Ranked struct {
	Key   window.Key
	Label string
	Tag   uint32
	Count uint64
	Rate  float64 // events a second over the last minute, exponentially weighted, never more than was the case
}

// faded is the rate below which a key is no longer told of: one event seven minutes ago.
const faded = lambda / 1000

// Top returns at most n keys by descending rate at now, in Unix seconds. Keys that have faded away are left out.
func (s *Sketch) Top(n int, now float64) []Ranked {
	s.Lock()
	list := make([]Ranked, 0, len(s.items))
	f := lambda * math.Exp(min((s.landmark-now)*lambda, growth))
	for i := range s.items {
		it := &s.items[i]
		if rate := (it.weight - it.inherited) * f; rate > faded {
			list = append(list, Ranked{Key: it.Key, Label: string(it.Label), Tag: it.Tag, Count: it.Count, Rate: rate})
		}
	}
	s.Unlock()
	slices.SortFunc(list, func(a, b Ranked) int {
		switch {
		case a.Rate > b.Rate:
			return -1
		case a.Rate < b.Rate:
			return 1
		}
		return strings.Compare(a.Label, b.Label)
	})
	return list[:min(n, len(list))]
}
