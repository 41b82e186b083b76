// Package ledger counts the memory that clients can make the server hold.
//
// Problem: each room bounds what it holds, in units of its own (messages, samples, streams), and nobody knows the sum. A
// hundred clients, each within every limit, could together take more than the machine has.
//
// Invariants:
//
//   - what an account holds is never more than the account's limit, and what all hold is never more than the ledger's;
//   - a refusal holds nothing, and is counted;
//   - what was taken is given back by whoever took it, whatever became of it.
//
// How: an account per purpose ("messages", "queries") and one sum. [Account.Take] asks the account, then the sum, by two
// compare-and-swaps; there is no lock, no allocation, and no waiting: who is refused tells the client, who comes back later.
//
// Not chosen: Go's own figures (runtime/metrics), which come after the fact, say nothing of who holds what, and count garbage.
// The memory limit that is given to the garbage collector (see limit.go) is set from the same bound, but it makes the collector work
// harder and refuses nobody.
package ledger

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// A Ledger is the sum of all accounts, and its bound. It is safe for concurrent use.
type Ledger struct {
	limit int64
	held  atomic.Int64

	mu       sync.Mutex
	accounts []*Account
}

// New makes a ledger of so many bytes, whose metrics are in reg, which may be nil. It panics where reg has those of another
// ledger: there is one in a process.
func New(limit int64, reg prometheus.Registerer) *Ledger {
	l := &Ledger{limit: limit}
	if reg != nil {
		reg.MustRegister(l)
	}
	return l
}

// Limit is what all accounts together may hold, in bytes.
func (l *Ledger) Limit() int64 { return l.limit }

// Used is what all accounts hold now, in bytes.
func (l *Ledger) Used() int64 { return l.held.Load() }

// Account opens an account that may hold up to limit bytes, or all that the ledger has where limit is 0 or more than that.
// Who asks for a name again gets the account that is there, whatever limit it asks for: rooms may share one.
func (l *Ledger) Account(name string, limit int64) *Account {
	if limit <= 0 || limit > l.limit {
		limit = l.limit
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.accounts {
		if a.name == name {
			return a
		}
	}
	a := &Account{ledger: l, name: name, limit: limit}
	l.accounts = append(l.accounts, a)
	return a
}

// An Account is a part of a ledger, for one purpose. A nil account counts nothing and refuses nothing, so that what takes from one
// works without. It is safe for concurrent use.
type Account struct {
	ledger  *Ledger
	name    string
	limit   int64
	held    atomic.Int64
	refused atomic.Int64
}

// Take reserves n bytes, or refuses: there is no room for them now. Each that was taken must be given back, by [Account.Give].
func (a *Account) Take(n int64) bool {
	if a == nil {
		return true
	}
	if !raise(&a.held, n, a.limit) {
		a.refused.Add(1)
		return false
	}
	if !raise(&a.ledger.held, n, a.ledger.limit) {
		a.held.Add(-n)
		a.refused.Add(1)
		return false
	}
	return true
}

// raise adds n to held unless that would be more than limit.
func raise(held *atomic.Int64, n, limit int64) bool {
	for {
		before := held.Load()
		if n > limit-before {
			return false
		}
		if held.CompareAndSwap(before, before+n) {
			return true
		}
	}
}

// Give gives back n bytes that were taken.
func (a *Account) Give(n int64) {
	if a == nil {
		return
	}
	a.held.Add(-n)
	a.ledger.held.Add(-n)
}

// Refuse counts a refusal that its owner decided, though there is room: of who holds too much already.
func (a *Account) Refuse() {
	if a != nil {
		a.refused.Add(1)
	}
}

// Used is how many bytes the account holds now.
func (a *Account) Used() int64 {
	if a == nil {
		return 0
	}
	return a.held.Load()
}

// Limit is how many bytes the account may hold.
func (a *Account) Limit() int64 {
	if a == nil {
		return 0
	}
	return a.limit
}

// Refused is how often the account has refused.
func (a *Account) Refused() int64 {
	if a == nil {
		return 0
	}
	return a.refused.Load()
}

// Full is the text of a refusal for whoever asked for n bytes: what is full, and the setting that bounds it.
func (a *Account) Full(n int64) error {
	if a == nil {
		return nil
	}
	return fmt.Errorf("no memory for it now: %d bytes more would be too many beside the %d that %s hold, of %d; come back later "+
		"(all that clients make the server hold is bounded by memory.limit_bytes)", n, a.Used(), a.name, a.limit)
}

// The metrics, by account.
var (
	heldDesc    = prometheus.NewDesc("binnacle_memory_held_bytes", "Bytes that clients make the server hold now.", []string{"account"}, nil)            //nolint:gochecknoglobals // immutable
	limitDesc   = prometheus.NewDesc("binnacle_memory_limit_bytes", "Bytes that clients may make the server hold.", []string{"account"}, nil)           //nolint:gochecknoglobals // immutable
	refusedDesc = prometheus.NewDesc("binnacle_memory_refused_total", "Times that something was refused for want of memory.", []string{"account"}, nil) //nolint:gochecknoglobals // immutable
)

// total is the account of all accounts in the metrics.
const total = "total"

// Describe implements prometheus.Collector.
func (l *Ledger) Describe(ch chan<- *prometheus.Desc) {
	ch <- heldDesc
	ch <- limitDesc
	ch <- refusedDesc
}

// Collect implements prometheus.Collector.
func (l *Ledger) Collect(ch chan<- prometheus.Metric) {
	l.mu.Lock()
	accounts := l.accounts[:len(l.accounts):len(l.accounts)]
	l.mu.Unlock()
	gauge := func(d *prometheus.Desc, v int64, account string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), account)
	}
	refused := int64(0)
	for _, a := range accounts {
		gauge(heldDesc, a.Used(), a.name)
		gauge(limitDesc, a.limit, a.name)
		n := a.refused.Load()
		refused += n
		ch <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(n), a.name)
	}
	gauge(heldDesc, l.held.Load(), total)
	gauge(limitDesc, l.limit, total)
	ch <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(refused), total)
}
