package ledger

import (
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestAnAccountIsBounded(t *testing.T) {
	t.Parallel()
	a := New(1000, nil).Account("a", 100)
	if !a.Take(100) {
		t.Fatal("an empty account refuses what it may hold")
	}
	if a.Take(1) {
		t.Error("a full account takes more")
	}
	a.Give(40)
	if a.Take(41) || !a.Take(40) {
		t.Error("what was given back is not what may be taken")
	}
	if a.Used() != 100 || a.Refused() != 2 {
		t.Errorf("used %d, refused %d; want 100, 2", a.Used(), a.Refused())
	}
}

// Accounts may promise more than there is: the sum is what holds.
func TestAllAccountsAreBoundedTogether(t *testing.T) {
	t.Parallel()
	l := New(100, nil)
	a, b := l.Account("a", 80), l.Account("b", 0)
	if !a.Take(80) || !b.Take(20) {
		t.Fatal("refused what there is room for")
	}
	if b.Take(1) {
		t.Error("took more than the ledger has")
	}
	if b.Used() != 20 || l.Used() != 100 {
		t.Errorf("a refusal changed what is held: %d, %d", b.Used(), l.Used())
	}
	a.Give(80)
	if !b.Take(80) {
		t.Error("an account may not hold what the others have left")
	}
}

func TestAHugeTakeOverflowsNothing(t *testing.T) {
	t.Parallel()
	a := New(100, nil).Account("a", 0)
	a.Take(50)
	if a.Take(1<<63-1) || a.Used() != 50 {
		t.Errorf("used %d", a.Used())
	}
}

func TestANameIsOneAccount(t *testing.T) {
	t.Parallel()
	l := New(100, nil)
	if l.Account("a", 10) != l.Account("a", 20) {
		t.Error("two accounts of one name: their metrics would clash")
	}
}

func TestANilAccountCountsNothing(t *testing.T) {
	t.Parallel()
	var a *Account
	if !a.Take(1 << 40) {
		t.Error("refused")
	}
	a.Give(1 << 40)
	if a.Used() != 0 || a.Limit() != 0 || a.Refused() != 0 || a.Full(1) != nil {
		t.Error("it has figures")
	}
}

// Many at once never hold more than the limit, and in the end nothing.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	l := New(1000, nil)
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "a", "b"} {
		a := l.Account(name, 700)
		wg.Go(func() {
			for i := range 20_000 {
				n := int64(i%300 + 1)
				if !a.Take(n) {
					continue
				}
				if used := l.Used(); used > 1000 {
					t.Errorf("the ledger holds %d of 1000", used)
				}
				a.Give(n)
			}
		})
	}
	wg.Wait()
	if l.Used() != 0 || l.Account("a", 0).Used() != 0 {
		t.Errorf("%d are held after all was given back", l.Used())
	}
}

func TestTakingAllocatesNothing(t *testing.T) { //nolint:paralleltest // counts the process's allocations
	a := New(1000, nil).Account("a", 0)
	if n := testing.AllocsPerRun(1000, func() {
		if a.Take(10) {
			a.Give(10)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	l := New(100, reg)
	a := l.Account("messages", 60)
	a.Take(50)
	a.Take(11)
	const want = `
# HELP binnacle_memory_held_bytes Bytes that clients make the server hold now.
# TYPE binnacle_memory_held_bytes gauge
binnacle_memory_held_bytes{account="messages"} 50
binnacle_memory_held_bytes{account="total"} 50
# HELP binnacle_memory_limit_bytes Bytes that clients may make the server hold.
# TYPE binnacle_memory_limit_bytes gauge
binnacle_memory_limit_bytes{account="messages"} 60
binnacle_memory_limit_bytes{account="total"} 100
# HELP binnacle_memory_refused_total Times that something was refused for want of memory.
# TYPE binnacle_memory_refused_total counter
binnacle_memory_refused_total{account="messages"} 1
binnacle_memory_refused_total{account="total"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func BenchmarkTake(b *testing.B) {
	a := New(1<<40, nil).Account("a", 0)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if a.Take(100) {
				a.Give(100)
			}
		}
	})
}
