package window

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// save is all shards' counters.
func save(t *Table, all bool, shortest uint32, now int64) (saved []Saved) {
	for i := range t.Shards() {
		saved, _ = t.Save(i, all, shortest, now, saved)
	}
	return saved
}

func same(tag uint32) uint32 { return tag }

// restore makes a table of what was saved.
func restore(saved []Saved, maxKeys, shards int, now int64) *Table {
	t := New(maxKeys, shards)
	for i := range saved {
		t.Restore(&saved[i], now)
	}
	t.Restored(same)
	return t
}

// TestSavedChangesAddUp: what changed, saved in any steps, and all at once, make the same table, which goes on as the first does.
func TestSavedChangesAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const shards = 2
		table := New(1<<20, shards)
		now := int64(1_700_000_000)
		var steps []Saved
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			now += []int64{0, 0, 0, 0, 0, 1, 3, 60}[rapid.IntRange(0, 7).Draw(t, "advance")]
			switch rapid.IntRange(0, 20).Draw(t, "step") {
			case 0:
				table.Sweep(now, 1)
			case 1, 2:
				steps = append(steps, save(table, false, 0, now)...)
			default:
				h := drawHit(t, 90)
				table.Count(&h, now)
			}
		}
		steps = append(steps, save(table, false, 0, now)...)
		all := save(table, true, 0, now)
		if n := len(save(table, false, 0, now)); n != 0 {
			t.Fatalf("%d counters changed since all were saved", n)
		}
		a, b := restore(steps, 1<<20, shards, now), restore(all, 1<<20, shards, now)
		for range 100 {
			h := drawHit(t, 90)
			want := table.Count(&h, now)
			if diff := cmp.Diff([]Result{want, want}, []Result{a.Count(&h, now), b.Count(&h, now)}); diff != "" {
				t.Fatalf("%+v (-first +restored):\n%s", h, diff)
			}
		}
	})
}

// TestRestoredNeverAdmitsTooMuch: a table that is too small, saved in steps and restored again and again, into smaller ones too: no
// key is admitted more than its limit in a window, and what is admitted between a save and a crash is all that may come on top.
func TestRestoredNeverAdmitsTooMuch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		draw := func() int { return rapid.IntRange(1, 12).Draw(t, "max keys") }
		table := New(draw(), 1)
		limit := rapid.Uint64Range(1, 32).Draw(t, "limit")
		admitted, unsaved, forgotten := map[string]uint64{}, map[string]uint64{}, map[string]uint64{}
		var saved []Saved
		now := int64(1_700_000_000)
		for range rapid.IntRange(100, 600).Draw(t, "steps") {
			now += []int64{0, 0, 0, 0, 0, 0, 1, 20}[rapid.IntRange(0, 7).Draw(t, "advance")]
			switch rapid.IntRange(0, 30).Draw(t, "step") {
			case 0:
				saved, unsaved = append(saved, save(table, false, 0, now)...), map[string]uint64{}
			case 1:
				saved, unsaved = save(table, true, 0, now), map[string]uint64{}
			case 2: // a crash
				for k, n := range unsaved {
					forgotten[k] += n
				}
				unsaved = map[string]uint64{}
				table = restore(saved, draw(), 1, now)
				saved = save(table, true, 0, now)
			default:
				h := drawHit(t, 16)
				h.Limit, h.Refund, h.Length = limit, false, h.Length*60
				r := table.Count(&h, now)
				if r.Over {
					continue
				}
				k := fmt.Sprint(h.Key, r.Start)
				admitted[k] += h.N
				unsaved[k] += h.N
				if admitted[k] > limit+forgotten[k] {
					t.Fatalf("key %v was admitted %d of %d in window %d, and crashes forgot %d", h.Key, admitted[k], limit, r.Start, forgotten[k])
				}
			}
		}
	})
}

// TestGoneBetweenSavings: what a key used after it was saved, and before it gave way, is known of the floor.
func TestGoneBetweenSavings(t *testing.T) {
	t.Parallel()
	table := New(1, 1)
	hit := func(table *Table, key, n uint64) Result {
		return table.Count(&Hit{Key: spread(key), Length: 3600, Limit: 40, N: n}, 0)
	}
	hit(table, 1, 1)
	saved := save(table, false, 0, 0)
	hit(table, 1, 2)
	hit(table, 2, 1)
	saved = append(saved, save(table, false, 0, 0)...)
	again := restore(saved, 10, 1, 0)
	if r := hit(again, 1, 1); r.Before < 3 {
		t.Errorf("a key that had used 3 begins at %d", r.Before)
	}
	if r := hit(again, 2, 1); r.Before != 4 {
		t.Errorf("a key that began at 3 and used 1 goes on at %d", r.Before)
	}
}

func TestSaveLeavesOut(t *testing.T) {
	t.Parallel()
	table := New(10, 1)
	for i, length := range []uint32{1, 59, 60, 86400} {
		table.Count(&Hit{Key: spread(uint64(i)), Length: length, Tag: length, Limit: 9, N: 2}, 6000)
	}
	table.Count(&Hit{Key: spread(9), Length: 86400, Limit: 9}, 6000) // looked at alone
	lengths := func(saved []Saved) (l []uint32) {
		for _, s := range saved {
			l = append(l, s.Length)
		}
		return l
	}
	order := cmpopts.SortSlices(func(a, b uint32) bool { return a < b })
	if diff := cmp.Diff([]uint32{60, 86400}, lengths(save(table, false, 60, 6000)), order); diff != "" {
		t.Errorf("changed, of a minute and longer (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]uint32{1, 59, 60, 86400}, lengths(save(table, true, 0, 6000)), order); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]uint32{86400}, lengths(save(table, true, 0, 6060)), order); diff != "" {
		t.Errorf("a minute later (-want +got):\n%s", diff)
	}
	table.Unsave()
	if n := len(save(table, false, 60, 6000)); n != 3 {
		t.Errorf("%d counters to save after saving failed, want all 3", n) // the one looked at too, which is no harm
	}
	late := New(10, 1)
	for _, s := range []Saved{{Key: spread(1), Count: 5, Start: 0, Length: 60}, {Key: spread(2), Count: 5}} {
		late.Restore(&s, 60)
	}
	if n := late.Restored(same); n != 0 {
		t.Errorf("%d keys restored of windows that have ended, or are none", n)
	}
}

func TestRestoredTags(t *testing.T) {
	t.Parallel()
	table := New(10, 1)
	table.Count(&Hit{Key: spread(1), Length: 60, Tag: 3, Limit: 9, N: 2}, 0)
	table.Count(&Hit{Key: spread(2), Length: 60, Tag: 4, Limit: 9, N: 2}, 0)
	next := New(10, 1)
	for _, s := range save(table, true, 0, 0) {
		next.Restore(&s, 0)
	}
	keys := next.Restored(func(tag uint32) uint32 {
		if tag == 3 {
			return 0
		}
		return NoTag
	})
	byTag := make([]int, 5)
	next.CountByTag(0, byTag)
	if diff := cmp.Diff([]int{1, 0, 0, 0, 0}, byTag); diff != "" || keys != 2 {
		t.Errorf("%d keys, by tag (-want +got):\n%s", keys, diff)
	}
}
