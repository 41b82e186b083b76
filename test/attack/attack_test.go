package attack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// An attack is one thing done to the server, beside an honest sender.
type attack struct {
	name   string
	config string // added to the server's
	deaths bool   // the attack kills the server, or stops it: honest calls may fail meanwhile, and are not timed
	// slowAcks is for attacks on the disk: acknowledgements wait for it, and are not timed.
	slowAcks bool
	// beside is for an attack that ends or starts the server, which its own process cannot.
	beside bool
	// noAudit is for an attack after which the truth is gone.
	noAudit bool
	// surroundings prepares what the server runs in; errNotPermitted skips the attack.
	surroundings func(w *world) error
	// do attacks, and returns what it saw in a few words. An error is an outcome other than the one expected. What it sends is counted in n.
	do func(ctx context.Context, w *world, h *honest, n *tally) (saw string, err error)
}

// runAll attacks one server after another: each has the machine to itself, as its latencies ask for.
func runAll(t *testing.T, attacks []attack) {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED with -short, AND NOT PROVEN: what attacks cost; each takes some seconds")
	}
	for _, a := range attacks {
		t.Run(strings.ReplaceAll(a.name, " ", "_"), a.run)
	}
}

func (a attack) run(t *testing.T) {
	r := &row{attack: a.name, recovery: -1, lost: -1, doubled: -1}
	defer func() {
		for _, f := range r.faults {
			t.Error(f)
		}
		if r.slow() && os.Getenv("JUDGE") == "1" {
			t.Errorf("honest calls took too long: acknowledgements %v, decisions %v, answers %v at the 99th percentile", r.acks, r.quota, r.reads)
		}
	}()
	w := prepare(t, a.config)
	report.add(r)
	fault := func(format string, args ...any) { r.faults = append(r.faults, fmt.Sprintf(format, args...)) }
	if a.surroundings != nil {
		if err := a.surroundings(w); errors.Is(err, errNotPermitted) {
			r.skipped = err.Error()
			t.Skipf("SKIPPED, AND NOT PROVEN: %v", err)
		} else if err != nil {
			fault("%v", err)
			return
		}
	}
	if err := w.start(); err != nil {
		fault("%v", err)
		return
	}
	h := w.honest()
	if err := h.settle(); err != nil {
		fault("before the attack: %v", err)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	n := &tally{}
	began := time.Now()
	var saw string
	var err error
	if a.beside || !slices.ContainsFunc(everyAttack(), func(b attack) bool { return b.name == a.name }) {
		saw, err = a.do(ctx, w, h, n)
	} else {
		saw, err = a.apart(ctx, w, n)
	}
	over := time.Now()
	r.outcome = saw
	switch {
	case errors.Is(err, errNotPermitted):
		r.skipped = err.Error()
		h.end()
		t.Skipf("SKIPPED, AND NOT PROVEN: %v", err)
	case err != nil:
		fault("%v", err)
	}
	t.Logf("%s: %s (%.1f s)", a.name, saw, over.Sub(began).Seconds())
	if !w.ended() {
		// Honest calls are timed for as long as the attack lasts: what it leaves behind to do is recovery.
		r.times(h, a)
		welcome, hops, err := w.welcome("late", over, time.Minute)
		r.recovery = welcome
		n.acked.Add(int64(2 * hops))
		if err != nil {
			fault("newcomers after the attack: %v", err)
		}
	}
	h.end()
	if w.ended() {
		fault("the server died: %s", w.said.tail(800))
		r.rss = w.resident()
		return
	}
	if a.noAudit {
		r.rss = w.resident()
		return
	}
	au := h.audit(int(n.acked.Load()), int(n.unknown.Load()), a.deaths || a.slowAcks)
	r.lost, r.doubled = au.lost, au.doubled
	r.faults = append(r.faults, au.faults...)
	if err := w.exactQuota(); err != nil {
		fault("%v", err)
	}
	c := h.counts()
	if !a.deaths && c.refused+c.unknown+c.quotaFailed+c.readFailed+c.streamsBroken > 0 {
		r.outcome += fmt.Sprintf("; honest: %d exports refused, %d unanswered, %d decisions, %d answers and %d log streams failed (%.90v)", c.refused, c.unknown, c.quotaFailed, c.readFailed, c.streamsBroken, c.lastErr)
		if c.unknown+c.quotaFailed+c.readFailed+c.streamsBroken > 0 {
			fault("honest calls failed: %d exports unanswered, %d decisions, %d answers, %d log streams: %v", c.unknown, c.quotaFailed, c.readFailed, c.streamsBroken, c.lastErr)
		}
	}
	if c.late > 0 && !a.deaths {
		r.outcome += fmt.Sprintf("; %d traces not found 2 s after their acknowledgement", c.late)
	}
	if bytes.Contains([]byte(w.said.String()), []byte("panic")) {
		fault("the server said: %s", w.said.tail(800))
	}
	if r.rss = w.resident(); r.rss > memoryLimit {
		fault("%d MB were resident, the limit is %d", r.rss/1e6, memoryLimit/1_000_000)
	}
	if err := w.end(20 * time.Second); err != nil {
		fault("%v", err)
	}
}

// times takes the honest calls' percentiles. Those of a server that was dead or stopped say nothing.
func (r *row) times(h *honest, a attack) {
	if a.deaths {
		return
	}
	c := h.counts()
	r.quota, r.reads = p99(c.quota), p99(c.reads)
	if !a.slowAcks {
		r.acks = p99(c.acks)
	}
}

// welcome sends hops between two services that nobody has heard of until they have all that a service has, and returns how long
// after the moment that was.
func (w *world) welcome(name string, since time.Time, within time.Duration) (took time.Duration, hops int, err error) {
	cc, err := dial(w.otlp)
	if err != nil {
		return -1, 0, err
	}
	defer cc.Close()
	from, to := "newcomer-"+name+"-a", "newcomer-"+name+"-b"
	for time.Since(since) < within || hops == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_, err = call(ctx, cc, exportMethod, encode(hop(from, to)))
		cancel()
		if err == nil {
			hops++
			if err = w.knows(from, to); err == nil {
				return time.Since(since), hops, nil
			}
		}
		if w.ended() {
			return -1, hops, errEnded
		}
		time.Sleep(300 * time.Millisecond)
	}
	return -1, hops, fmt.Errorf("after %v: %w", within, err)
}

// knows says what of two services that call one another is not there yet.
func (w *world) knows(from, to string) error {
	for _, q := range []string{
		fmt.Sprintf(`binnacle_edge_duration_seconds{source=%q,destination=%q}`, from, to),
		fmt.Sprintf(`binnacle_operation_duration_seconds{service=%q}`, to),
	} {
		got, err := w.series("histogram_count("+q+")", func(map[string]string) string { return "n" })
		if err != nil {
			return err
		}
		if got["n"] == 0 {
			return fmt.Errorf("no series %s", q)
		}
	}
	code, body := w.get("/api/v1/services", 30*time.Second)
	if code != http.StatusOK || !bytes.Contains(body, []byte(`"`+to+`"`)) {
		return fmt.Errorf("%s is not in the list of services (%d)", to, code)
	}
	code, body = w.get("/api/v1/traces?service="+url.QueryEscape(to)+"&operation="+url.QueryEscape("GET /"), 30*time.Second)
	if code != http.StatusOK || !bytes.Contains(body, []byte(`"`+to+`"`)) {
		return fmt.Errorf("no trace of %s is found (%d)", to, code)
	}
	code, body = w.get("/api/v1/graph", 30*time.Second)
	if code != http.StatusOK || !bytes.Contains(body, []byte(`"`+from+">"+to)) {
		return fmt.Errorf("no edge from %s to %s (%d)", from, to, code)
	}
	return nil
}

// exactQuota asks for more than a limit and counts what is granted.
func (w *world) exactQuota() error {
	const limit, asked = 50, 70
	cc, err := dial(w.rls)
	if err != nil {
		return err
	}
	defer cc.Close()
	granted := 0
	q := question("honest", "exact", fmt.Sprintf("once-%d", ids.Add(1)))
	for range asked {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		reply, err := call(ctx, cc, quotaMethod, bytes.Clone(q))
		cancel()
		if err != nil {
			return fmt.Errorf("a quota question after the attack: %w", err)
		}
		if allowed(reply) {
			granted++
		}
	}
	if granted != limit {
		return fmt.Errorf("a quota of %d granted %d of %d", limit, granted, asked)
	}
	return nil
}
