package window

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// spread turns a small number into a key that is well distributed, as a hash would be.
func spread(i uint64) Key {
	x := i * 0x9e3779b97f4a7c15
	return Key{Hi: (x ^ x>>29) * 0xbf58476d1ce4e5b9, Lo: (x ^ x>>32) * 0x94d049bb133111eb}
}

func TestCount(t *testing.T) {
	t.Parallel()
	type step struct {
		now  int64
		hit  Hit
		want Result
	}
	a := spread(1)
	hit := func(n uint64) Hit { return Hit{Key: a, Length: 60, Limit: 3, N: n} }
	only := func(n uint64) Hit { h := hit(n); h.OnlyAdmitted = true; return h }
	refund := func(n uint64) Hit { h := hit(n); h.Refund = true; return h }
	for name, steps := range map[string][]step{
		"refused hits count": {
			{60, hit(2), Result{0, 2, 60, false, false, false}},
			{61, hit(2), Result{2, 4, 60, true, false, false}},
			{119, hit(0), Result{4, 4, 60, true, false, false}},
			{120, hit(3), Result{0, 3, 120, false, false, false}},
		},
		"refused hits do not count": {
			{60, only(2), Result{0, 2, 60, false, false, false}},
			{60, only(2), Result{2, 2, 60, true, false, false}},
			{60, only(1), Result{2, 3, 60, false, false, false}},
			{60, only(0), Result{3, 3, 60, true, false, false}},
			{60, only(math.MaxUint64), Result{3, 3, 60, true, false, false}},
		},
		"looking": {
			{60, hit(0), Result{0, 0, 60, false, false, false}},
			{60, hit(3), Result{0, 3, 60, false, false, false}},
			{60, hit(0), Result{3, 3, 60, false, false, false}},
		},
		"refund stops at zero": {
			{60, hit(2), Result{0, 2, 60, false, false, false}},
			{60, refund(1), Result{2, 1, 60, false, false, false}},
			{60, refund(9), Result{1, 0, 60, false, false, false}},
		},
		"a count does not wrap round": {
			{60, hit(math.MaxUint64), Result{0, math.MaxUint64, 60, true, false, false}},
			{60, hit(5), Result{math.MaxUint64, math.MaxUint64, 60, true, false, false}},
		},
		"a clock read too early counts in the window that has begun": {
			{120, hit(3), Result{0, 3, 120, false, false, false}},
			{119, hit(1), Result{3, 4, 120, true, false, false}},
		},
		"a clock set back an hour does not block": {
			{7200, hit(3), Result{0, 3, 7200, false, false, false}},
			{3600, hit(1), Result{0, 1, 3600, false, false, false}},
		},
		"before 1970": {
			{-100, hit(1), Result{0, 1, -120, false, false, false}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := New(100, 1)
			for i, s := range steps {
				if diff := cmp.Diff(s.want, table.Count(&s.hit, s.now)); diff != "" {
					t.Fatalf("step %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

// TestAnEndedWindowIsNotReopened: the cell of an ended window has been dropped; a caller that read the clock before its end
// must not get a fresh count for it.
func TestAnEndedWindowIsNotReopened(t *testing.T) {
	t.Parallel()
	table := New(100, 1)
	h := Hit{Key: spread(1), Length: 1, Limit: 1, N: 1}
	table.Count(&h, 10)
	table.Sweep(11, 1)
	if keys, _ := table.Len(); keys != 0 {
		t.Fatalf("%d keys left after the sweep", keys)
	}
	if r := table.Count(&h, 10); r.Start != 11 {
		t.Fatalf("window %d was opened a second time", r.Start)
	}
}

// oracle counts per key and window in a map, with no thought for memory or speed.
type oracle map[string]uint64

func (o oracle) do(h Hit, now int64) Result {
	start := now / int64(h.Length) * int64(h.Length)
	k := fmt.Sprint(h.Key, start)
	r := Result{Before: o[k], After: o[k], Start: start}
	switch {
	case h.Refund && h.N >= r.Before:
		r.After = 0
	case h.Refund:
		r.After = r.Before - h.N
	case h.OnlyAdmitted:
		r.Over = r.Before+h.N > h.Limit || h.N == 0 && h.Limit > 0 && r.Before >= h.Limit
		if !r.Over {
			r.After = r.Before + h.N
		}
	default:
		r.After = r.Before + h.N
		r.Over = r.After > h.Limit
	}
	o[k] = r.After
	return r
}

func drawHit(t *rapid.T, keys uint64) Hit {
	k := rapid.Uint64Range(0, keys-1).Draw(t, "key")
	return Hit{
		Key: spread(k), Tag: uint32(k % 3),
		Length:       []uint32{1, 7, 60}[k%3],
		Limit:        rapid.Uint64Range(0, 12).Draw(t, "limit"),
		N:            rapid.Uint64Range(0, 5).Draw(t, "n"),
		Refund:       rapid.IntRange(0, 9).Draw(t, "refund") == 0,
		OnlyAdmitted: rapid.Bool().Draw(t, "only"),
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		table, o := New(1<<20, rapid.IntRange(1, 4).Draw(t, "shards")), oracle{}
		now := int64(1_700_000_000)
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			now += []int64{0, 0, 0, 0, 0, 1, 3, 60}[rapid.IntRange(0, 7).Draw(t, "advance")]
			if rapid.IntRange(0, 20).Draw(t, "sweep") == 0 {
				table.Sweep(now, rapid.IntRange(1, 4).Draw(t, "part"))
			}
			h := drawHit(t, 90)
			if diff := cmp.Diff(o.do(h, now), table.Count(&h, now)); diff != "" {
				t.Fatalf("%+v at %d (-want +got):\n%s", h, now, diff)
			}
		}
	})
}

// TestFullTableNeverAdmitsTooMuch: with far fewer cells than keys, no key is admitted above its limit in any window, and the
// table stays within its bound.
func TestFullTableNeverAdmitsTooMuch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		maxKeys := rapid.IntRange(1, 20).Draw(t, "max keys")
		table := New(maxKeys, 1)
		limit := rapid.Uint64Range(0, 6).Draw(t, "limit")
		admitted := map[string]uint64{}
		now := int64(1_700_000_000)
		for range rapid.IntRange(100, 600).Draw(t, "steps") {
			now += []int64{0, 0, 0, 0, 0, 1, 7, 60}[rapid.IntRange(0, 7).Draw(t, "advance")]
			h := drawHit(t, 60)
			h.Limit, h.Refund = limit, false
			r := table.Count(&h, now)
			if !r.Over {
				k := fmt.Sprint(h.Key, r.Start)
				if admitted[k] += h.N; admitted[k] > limit {
					t.Fatalf("key %v was admitted %d of %d in window %d", h.Key, admitted[k], limit, r.Start)
				}
			}
			if keys, rules := table.Len(); keys > maxKeys || rules > 3 {
				t.Fatalf("%d keys of %d, %d shared", keys, maxKeys, rules)
			}
		}
	})
}

func TestFullTable(t *testing.T) {
	t.Parallel()
	table := New(2, 1)
	do := func(key, n uint64, now int64) Result {
		return table.Count(&Hit{Key: spread(key), Length: 60, Limit: 24, N: n}, now)
	}
	do(1, 10, 0)
	do(2, 1, 0)
	if r := do(3, 1, 1); r.Over || r.Before != 1 || r.After != 2 {
		t.Fatalf("key 3 takes the place of key 2, which used 1, and begins there: %+v", r)
	}
	if r := do(1, 1, 1); r.Over || r.After != 11 {
		t.Fatalf("key 1, which used more, keeps its count: %+v", r)
	}
	if r := do(2, 2, 1); r.Over || r.After != 4 {
		t.Fatalf("key 2 comes again, in the place of key 3, which was at 2: %+v", r)
	}
	if r := do(3, 2, 1); !r.Shared || r.Over || r.Before != 2 || r.After != 4 {
		t.Fatalf("both cells have used more than an eighth: key 3 counts in the floor: %+v", r)
	}
	if r := do(4, 20, 1); !r.Shared || r.Over || r.After != 24 {
		t.Fatalf("key 4 shares it: %+v", r)
	}
	if r := do(3, 1, 1); !r.Over {
		t.Fatalf("and it is used up: %+v", r)
	}
	refund := Hit{Key: spread(3), Length: 60, Limit: 24, N: 2, Refund: true}
	if r := table.Count(&refund, 2); r.Over || r.After != 25 {
		t.Fatalf("a refund changed a floor: %+v", r)
	}
	if n := table.Evicted(); n != 2 {
		t.Fatalf("%d keys gave way, want 2", n)
	}
	if r := do(4, 1, 60); r.Shared || r.Before != 0 {
		t.Fatalf("in the next window ended cells make room, and floors are gone: %+v", r)
	}
}

// TestFloodOfKeys: keys that are made up, each asked for once, take nothing from a busy key, and from those that come later one
// each time that they fill the table anew, up to an eighth of the limit; and they push out keys of their own rule, not those of another
// that has few.
func TestFloodOfKeys(t *testing.T) {
	t.Parallel()
	table := New(1000, 4)
	const limit = 100
	hit := func(key uint64, tag uint32, n uint64) Result {
		return table.Count(&Hit{Key: spread(key), Tag: tag, Length: 86400, Limit: limit, N: n}, 0)
	}
	hit(1, 0, 60)
	for i := range uint64(50) {
		hit(100+i, 7, 1) // once each, of a rule that has few keys
	}
	for i := range uint64(5_000) {
		hit(10_000+i, 0, 1)
	}
	if r := hit(2, 0, limit-10); r.Over || r.Before < 2 {
		t.Errorf("a newcomer begins where the floor should be, at about 5: %+v", r)
	}
	for i := range uint64(50_000) {
		hit(20_000+i, 0, 1)
	}
	if r := hit(1, 0, 40); r.Over || r.Before != 60 {
		t.Errorf("the busy key after the flood: %+v", r)
	}
	if r := hit(1, 0, 1); !r.Over {
		t.Errorf("the busy key beyond its limit: %+v", r)
	}
	for i := range uint64(50) {
		if r := hit(100+i, 7, 1); r.Before != 1 {
			t.Errorf("a key of another rule lost its place to the flood: %+v", r)
		}
	}
	if r := hit(1000, 7, 1); r.Over || r.Before > 2 {
		t.Errorf("a new key of the other rule: %+v", r)
	}
}

func TestFloorsAreBounded(t *testing.T) {
	t.Parallel()
	table := New(1, 1)
	hit := func(i uint32, now int64) Result {
		return table.Count(&Hit{Key: spread(uint64(i)), Tag: i, Length: 3600, Limit: 10, N: 1}, now)
	}
	hit(0, 0)
	for i := uint32(1); i <= maxFloors; i++ {
		if r := hit(i, 0); r.Over {
			t.Fatalf("rule %d: %+v", i, r)
		}
	}
	if r := hit(maxFloors+1, 0); !r.Full || !r.Over {
		t.Fatalf("beyond the last floor: %+v, want a refusal", r)
	}
	if r := hit(maxFloors+1, 3600); r.Full || r.Over {
		t.Fatalf("when their windows have ended: %+v, want room again", r)
	}
}

func TestMemoryIsGivenBack(t *testing.T) {
	t.Parallel()
	table := New(1<<20, 4)
	for i := range uint64(50_000) {
		table.Count(&Hit{Key: spread(i), Length: 1, Limit: 1, N: 1, Tag: uint32(i % 2)}, 100)
	}
	byTag := make([]int, 2)
	table.CountByTag(100, byTag)
	if diff := cmp.Diff([]int{25_000, 25_000}, byTag); diff != "" {
		t.Fatal(diff)
	}
	for i := range 40 {
		table.Sweep(int64(101+i), 16)
	}
	cells := 0
	for i := range table.shards {
		cells += len(table.shards[i].cells)
	}
	if keys, _ := table.Len(); keys != 0 || cells > 4*minCells {
		t.Fatalf("%d keys and %d cells left long after their windows ended", keys, cells)
	}
}

// TestExactUnderConcurrency: 64 callers at once, a clock that moves meanwhile, a sweeper beside them. In every window each key
// is admitted its limit exactly, since demand exceeds it.
func TestExactUnderConcurrency(t *testing.T) {
	t.Parallel()
	const clients, keys, limit, windows = 64, 5, 100, 3
	for _, only := range []bool{false, true} {
		table := New(1000, 8)
		var admitted [windows + 2][keys]atomic.Int64
		var clock atomic.Int64
		var wg sync.WaitGroup
		for w := range int64(windows) {
			for range clients {
				wg.Go(func() {
					for i := range uint64(keys * 20) {
						h := Hit{Key: spread(i % keys), Length: 1, Limit: limit, N: 1, OnlyAdmitted: only}
						if r := table.Count(&h, clock.Load()); !r.Over {
							admitted[r.Start][i%keys].Add(1)
						}
					}
				})
			}
			wg.Go(func() { table.Sweep(clock.Load(), 2) })
			if w%2 == 0 {
				wg.Wait()
			}
			clock.Add(1) // every other time in the middle of it all
		}
		wg.Wait()
		for w := range admitted {
			for k := range admitted[w] {
				if n := admitted[w][k].Load(); n > limit {
					t.Errorf("only=%v: window %d key %d: %d admitted, limit %d", only, w, k, n, limit)
				}
			}
		}
		for k := range keys { // window 0 was waited for: 64*20 hits a key
			if n := admitted[0][k].Load(); n != limit {
				t.Errorf("only=%v: key %d: %d admitted in the first window, want %d", only, k, n, limit)
			}
		}
	}
}

func TestCountDoesNotAllocate(t *testing.T) {
	table := New(1<<16, 16)
	for i := range uint64(1 << 15) {
		table.Count(&Hit{Key: spread(i), Length: 60, Limit: 10, N: 1}, 60)
	}
	i := uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		table.Count(&Hit{Key: spread(i % (1 << 15)), Length: 60, Limit: 10, N: 1}, 61)
		i++
	}); n != 0 {
		t.Fatalf("%v allocations a hit", n)
	}
}
