package attack

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// A row is what one attack came to.
type row struct {
	attack, outcome string
	rss             int64         // bytes, the most of all processes of the attack
	acks            time.Duration // 99th percentiles of the honest: spans acknowledged,
	quota, reads    time.Duration // decisions, and answers
	lost, doubled   int           // spans; negative where nothing was audited
	recovery        time.Duration // of tables; negative where not asked for
	faults          []string
	skipped         string
}

// slow is more than an honest call may take at the 99th percentile.
const slow = 250 * time.Millisecond

func (r *row) verdict() string {
	switch {
	case r.skipped != "":
		return "SKIPPED, NOT PROVEN"
	case len(r.faults) > 0:
		return "FAILED"
	case r.slow():
		return "held, slow"
	}
	return "held"
}

func (r *row) slow() bool { return max(r.acks, r.quota, r.reads) > slow }

// A table collects rows from attacks that may run at once.
type table struct {
	mu   sync.Mutex
	rows []*row
}

func (t *table) add(r *row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, r)
}

func (t *table) print(to io.Writer, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rows) == 0 {
		return
	}
	fmt.Fprintln(to)
	w := tabwriter.NewWriter(to, 2, 0, 2, ' ', 0)
	fmt.Fprintln(w, "attack\toutcome\tRSS peak MB\thonest p99 ms: ack, quota, read\tlost\tdoubled\trecovery s\tverdict")
	failed, skipped := 0, 0
	for _, r := range t.rows {
		count := func(n int) string {
			if n < 0 {
				return "-"
			}
			return strconv.Itoa(n)
		}
		recovery := "-"
		if r.recovery >= 0 {
			recovery = fmt.Sprintf("%.1f", r.recovery.Seconds())
		}
		ms := func(d time.Duration) string {
			if d == 0 {
				return "-"
			}
			return fmt.Sprintf("%.0f", d.Seconds()*1e3)
		}
		outcome := r.outcome
		if r.skipped != "" {
			outcome, skipped = r.skipped, skipped+1
		}
		fmt.Fprintf(w, "%s\t%.110s\t%d\t%s, %s, %s\t%s\t%s\t%s\t%s\n", r.attack, outcome, r.rss/1e6, ms(r.acks), ms(r.quota), ms(r.reads),
			count(r.lost), count(r.doubled), recovery, r.verdict())
		if len(r.faults) > 0 {
			failed++
		}
	}
	_ = w.Flush()
	for _, r := range t.rows {
		for _, f := range r.faults {
			fmt.Fprintf(to, "!! %s: %s\n", r.attack, strings.ReplaceAll(f, "\n", "\n   "))
		}
	}
	fmt.Fprintf(to, "%d attacks passed, %d failed, %d skipped, in %v\n", len(t.rows)-failed-skipped, failed, skipped, took.Round(time.Second))
}
