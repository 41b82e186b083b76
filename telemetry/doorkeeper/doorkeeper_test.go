package doorkeeper

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const second = int64(time.Second)

func hashOf(s string) uint64 { return NewHash(1).Text(s).Sum() }

func TestSecondSight(t *testing.T) {
	t.Parallel()
	d := New(64, second, 60*second)
	now := int64(1_790_000_000) * second
	for _, c := range []struct {
		after time.Duration
		due   bool
	}{
		{0, false},
		{999 * time.Millisecond, false},
		{time.Second, true},
		{59 * time.Second, true},
		{61 * time.Second, false}, // forgotten: it begins anew
		{62 * time.Second, true},
	} {
		if got := d.Knock(hashOf("cart"), now+int64(c.after)); got != c.due {
			t.Errorf("after %v it is due: %v", c.after, got)
		}
	}
}

// Under a flood of ten thousand new keys a second, one that calls ten times a second
// is due within seconds.
func TestFloodKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	d := New(1024, second, 60*second)
	now, n := int64(1_790_000_000)*second, 0
	for call := range 300 {
		for i := range 1000 {
			if i == call*37%1000 && d.Knock(hashOf("honest"), now) {
				t.Logf("due after %v", time.Duration(call)*100*time.Millisecond)
				return
			}
			n++
			if d.Knock(hashOf(strconv.Itoa(n)), now) {
				t.Fatalf("key %d, seen once, is due", n)
			}
		}
		now += second / 10
	}
	t.Error("not due within 30 s")
}

// What is restored says what the original says.
func TestRestore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := New(32, second, 60*second)
		now := int64(1_790_000_000) * second
		knock := func(label string, ds ...*Door) {
			now += rapid.SampledFrom([]int64{0, 0, second / 2, second, 61 * second}).Draw(t, label+" passes")
			h := hashOf(strconv.Itoa(rapid.IntRange(0, 200).Draw(t, label)))
			var said []bool
			for _, d := range ds {
				said = append(said, d.Knock(h, now))
			}
			if said[0] != said[len(said)-1] {
				t.Fatalf("said %v", said)
			}
		}
		for range rapid.IntRange(0, 100).Draw(t, "before") {
			knock("key", a)
		}
		b := New(32, second, 60*second)
		for _, k := range a.Knockers(now) {
			if !b.Restore(k) {
				t.Fatalf("%v is refused", k)
			}
			if b.Restore(k) {
				t.Fatalf("%v is taken twice", k)
			}
		}
		if d := cmp.Diff(a.Knockers(now), b.Knockers(now)); d != "" {
			t.Fatal(d)
		}
		for range rapid.IntRange(0, 50).Draw(t, "after") {
			knock("later key", a, b)
		}
	})
}

// A door that nobody came to takes no memory, and answers as an empty one.
func TestNobodyKnocked(t *testing.T) {
	t.Parallel()
	d := New(1000, 1, 10)
	if d.Due(1, 1) || len(d.Knockers(1)) != 0 || d.Size() != 1024 || d.slots != nil {
		t.Errorf("due or known to an empty door, or memory of %d slots, of %d", len(d.slots), d.Size())
	}
	if d.Knock(1, 1) || !d.Due(1, 2) || len(d.slots) != d.Size() {
		t.Error("the first key is not remembered")
	}
}
