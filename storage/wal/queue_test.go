package wal

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func waiting(n int) *entry { return &entry{rec: make([]byte, n)} }

// A small record waits for one group, whatever waits before it.
func TestSmallRecordsOvertake(t *testing.T) {
	t.Parallel()
	var q queue
	for range 64 {
		q.put(waiting(leastGroup / 4))
	}
	small := waiting(2000)
	q.put(small)
	group := q.take(nil, -1)
	if !slices.Contains(group, small) {
		t.Error("a small record waits for more than a group")
	}
	if len(group) != 5 {
		t.Errorf("the group has %d records, want four that waited longest and the small one", len(group))
	}
}

// Whatever comes and goes: each record is taken once; a group is bounded, and has whoever has waited longest; those of a kind are
// taken in the order in which they came.
func TestQueueModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var model []*entry
		size := rapid.OneOf(rapid.IntRange(1, tinyRecord), rapid.IntRange(1, smallRecord), rapid.IntRange(smallRecord+1, leastGroup), rapid.IntRange(1, mostGroup))
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				e := waiting(size.Draw(t, "bytes"))
				q.put(e)
				model = append(model, e)
			},
			"take": func(t *rapid.T) {
				room := rapid.Int64Range(-mostGroup, 2*mostGroup).Draw(t, "room")
				group := q.take(nil, room)
				if len(model) == 0 {
					if len(group) != 0 {
						t.Fatal("there is a group of nothing")
					}
					return
				}
				if len(group) == 0 || group[0] != model[0] {
					t.Fatal("who has waited longest is not in the group")
				}
				bytes, at := 0, -1
				for _, e := range group {
					next := slices.Index(model, e)
					if next <= at {
						t.Fatal("the group is not in order")
					}
					at = next
					bytes += len(e.rec)
				}
				if most := 2*min(max(int(room), leastGroup), mostGroup) + mostGroup + smallRecord; bytes > most { // the last of each kind goes beyond
					t.Fatalf("the group has %d bytes", bytes)
				}
				model = slices.DeleteFunc(model, func(e *entry) bool { return slices.Contains(group, e) })
			},
			"take what is tiny": func(t *rapid.T) {
				most := rapid.Int64Range(-tinyAhead, tinyAhead).Draw(t, "most")
				var want []*entry
				for left := most; len(model) > 0; {
					i := slices.IndexFunc(model, func(e *entry) bool { return len(e.rec) <= tinyRecord })
					if i < 0 || left <= 0 {
						break
					}
					left -= int64(len(model[i].rec))
					want = append(want, model[i])
					model = slices.Delete(model, i, i+1)
				}
				if group := q.takeTiny(nil, most); !slices.Equal(group, want) {
					t.Fatalf("of %d bytes %d records are taken, want %d", most, len(group), len(want))
				}
			},
			"": func(t *rapid.T) {
				sum := int64(0)
				for _, e := range model {
					sum += int64(len(e.rec))
				}
				if !slices.Equal(q.entries, model) || q.bytes != sum {
					t.Fatalf("%d records of %d bytes wait, want %d of %d", len(q.entries), q.bytes, len(model), sum)
				}
			},
		})
	})
}
