package crash

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/storage/block"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// TestCrash kills the server BINNACLE_CRASHES times (default 5) and checks the
// promise I1 and I2: nothing acknowledged is lost, nothing is counted twice. Of many kills it looks after each aRound.
func TestCrash(t *testing.T) {
	t.Parallel()
	p := program{failingBinary(t), "serve"}
	how := newKiller(t, "checkpoint/", "block/", "log/", "series/")
	for left := crashes(t); left > 0; left -= aRound {
		l, dir := crash(t, p, how, min(left, aRound))
		s := p.start(t, dir, small)
		there := l.survivors(t, func(id [16]byte) int { return countSpans(t, s, id) })
		checkTotals(t, s, there)
		l.report(t, there)
		s.kill()
		if t.Failed() {
			return // what is there is there to look at
		}
		if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
			t.Fatal(err)
		}
	}
	how.report(t)
}

// aRound is after how many kills all is counted: every span is looked up by itself.
const aRound = 50

// crashes is how often to kill.
func crashes(t *testing.T) int {
	t.Helper()
	v := os.Getenv("BINNACLE_CRASHES")
	if v == "" {
		return 5
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("BINNACLE_CRASHES: %v", err)
	}
	return n
}

// TestCrashTwoStores is TestCrash with a second trace store that follows the log: each of the two, read from disk by itself, has
// all that was acknowledged, once, and both have the same.
func TestCrashTwoStores(t *testing.T) {
	t.Parallel()
	second := t.TempDir()
	p := program{build(t, "test/crash/twostores", "failpoints"), "--second", second}
	how := newKiller(t, "checkpoint/", "block/", "log/", "series/")
	l, dir := crash(t, p, how, min(crashes(t), aRound))
	how.report(t)
	s := p.start(t, dir, small)
	stopped := false
	defer func() {
		if !stopped {
			s.kill()
		}
	}()
	there := l.survivors(t, func(id [16]byte) int { return countSpans(t, s, id) })
	checkTotals(t, s, there)
	wait(t, "lag of the followers", map[string]int{"graph": 0, "blocks": 0, "second": 0}, func() (map[string]int, error) { return lags(s) })
	s.stop(t)
	stopped = true
	for _, d := range []string{filepath.Join(dir, "data", "blocks"), second} {
		if got := l.survivors(t, spansOnDisk(t, d)); len(got) != len(there) {
			t.Errorf("%s holds %d traces, the server had %d", d, len(got), len(there))
		}
	}
	l.report(t, there)
}

// lags is how many bytes each follower is behind, or what it left out.
func lags(s *server) (map[string]int, error) {
	fs, err := s.followers()
	got := map[string]int{}
	for name, f := range fs {
		got[name] = int(f.LagBytes) + f.LeftOut.Batches
	}
	return got, err
}

// openStore opens a directory of blocks that no server uses.
func openStore(t *testing.T, dir string) *block.Store {
	t.Helper()
	store, err := block.Open(dir, block.DefaultConfig(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func storedSpans(t *testing.T, dir string) int { return openStore(t, dir).Stats().Spans }

// spansOnDisk counts the spans of a trace.
func spansOnDisk(t *testing.T, dir string) func([16]byte) int {
	t.Helper()
	store := openStore(t, dir)
	return func(id [16]byte) int {
		b, _, err := store.Trace(t.Context(), id)
		switch {
		case errors.Is(err, telemetry.ErrNotFound):
			return 0
		case err != nil:
			t.Errorf("trace %x in %s: %v", id, dir, err)
			return 0
		}
		return len(b.Spans)
	}
}

// crash sends to the server and kills it, again and again. It returns what was sent, and where the server keeps it.
func crash(t *testing.T, p program, how *killer, crashes int) (*load, string) {
	t.Helper()
	dir := t.TempDir()
	l := &load{seed: rand.New(rand.NewPCG(how.rnd.Uint64(), 1)), crashes: crashes} //nolint:gosec // a test's chance
	for i := range crashes {
		k := how.next()
		s := p.launch(t, dir, small, k.env()...)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		if s.ready(t) {
			wg.Go(func() { l.run(ctx, s.otlp) })
		}
		how.kill(t, s, k)
		stop()
		wg.Wait()
		if bytes.Contains(s.log.Bytes(), []byte("cut a torn record")) {
			l.repairs++
		}
		if bytes.Contains(s.log.Bytes(), []byte("level=ERROR")) || bytes.Contains(s.log.Bytes(), []byte("panic")) {
			t.Fatalf("crash %d (%s): the server complained:\n%s", i, k, s.log.String())
		}
	}
	return l, dir
}

func (l *load) report(t *testing.T, there []call) {
	t.Helper()
	t.Logf("%d crashes, %d torn tails cut: %d spans acknowledged, %d of them lost, %d more found that were sent but not acknowledged",
		l.crashes, l.repairs, l.acked(), l.lost, spansPerTrace*len(there)-(l.acked()-l.lost))
}

func (l *load) acked() (spans int) {
	for _, s := range l.sent {
		if s.acked {
			spans += spansPerTrace * len(s.traces)
		}
	}
	return spans
}

// survivors counts every trace's spans and returns the calls of those that are
// stored. An acknowledged export must be stored whole, any other whole or not at all.
func (l *load) survivors(t *testing.T, count func([16]byte) int) (calls []call) {
	t.Helper()
	type result struct{ spans []int }
	results := make([]result, len(l.sent))
	var wg sync.WaitGroup
	sem := make(chan struct{}, 4)
	for i, e := range l.sent {
		results[i].spans = make([]int, len(e.traces))
		sem <- struct{}{}
		wg.Go(func() {
			defer func() { <-sem }()
			for k, id := range e.traces {
				results[i].spans[k] = count(id)
			}
		})
	}
	wg.Wait()
	for i, e := range l.sent {
		whole := 0
		for _, n := range results[i].spans {
			switch n {
			case spansPerTrace:
				whole++
			case 0:
			default:
				t.Errorf("export %d: a trace has %d of %d spans", i, n, spansPerTrace)
			}
		}
		switch {
		case whole == len(e.traces):
			calls = append(calls, e.calls...)
		case e.acked:
			l.lost += spansPerTrace * (len(e.traces) - whole)
			t.Errorf("export %d was acknowledged, but only %d of its %d traces are there", i, whole, len(e.traces))
		case whole > 0:
			t.Errorf("export %d is there in part: %d of %d traces", i, whole, len(e.traces))
		}
	}
	return calls
}

func countSpans(t *testing.T, s *server, id [16]byte) int {
	code, b := get(s.web, "/api/v1/traces/"+hex.EncodeToString(id[:]))
	switch code {
	case http.StatusNotFound:
		return 0
	case http.StatusOK:
		return bytes.Count(b, []byte(`"span_id"`))
	}
	t.Errorf("trace %x: %d %s", id, code, b)
	return 0
}

// checkTotals compares the graph's and the series' totals with a plain count.
func checkTotals(t *testing.T, s *server, there []call) {
	t.Helper()
	want := map[string]int{}
	ops := 0
	for _, c := range there {
		want[fmt.Sprintf("%s>%s client_span", services[c.from], services[c.to])]++
		want[fmt.Sprintf("%s>%s server_span", services[c.from], services[c.to])]++
		want[services[c.to]+">database:store client_span"]++
		ops += spansPerTrace
	}
	wait(t, "graph totals", want, func() (map[string]int, error) { return graphTotals(s) })
	wait(t, "edge series totals", want, func() (map[string]int, error) {
		return seriesTotals(s, `sum by (source, destination, destination_kind, side) (histogram_count(binnacle_edge_duration_seconds))`, func(m map[string]string) string {
			to := m["destination"]
			if k := m["destination_kind"]; k != "service" {
				to = k + ":" + to
			}
			return fmt.Sprintf("%s>%s %s_span", m["source"], to, m["side"])
		})
	})
	wait(t, "operation series totals", map[string]int{"all": ops}, func() (map[string]int, error) {
		return seriesTotals(s, `sum(histogram_count(binnacle_operation_duration_seconds))`, func(map[string]string) string { return "all" })
	})
}

// wait asks until the answer is as wanted; halves that never meet are counted
// late, and series are flushed at an interval.
func wait(t *testing.T, what string, want map[string]int, ask func() (map[string]int, error)) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		got, err := ask()
		if err == nil && cmp.Equal(want, got) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s (-oracle +server): %v\n%s", what, err, cmp.Diff(want, got))
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func graphTotals(s *server) (map[string]int, error) {
	var g struct {
		Edges []struct {
			Source, Target string
			Witnesses      map[string]int
		}
	}
	if err := getJSON(s.web, "/api/v1/graph", &g); err != nil {
		return nil, err
	}
	got := map[string]int{}
	for _, e := range g.Edges {
		for w, n := range e.Witnesses {
			if n > 0 {
				got[e.Source+">"+e.Target+" "+w] = n
			}
		}
	}
	return got, nil
}

func seriesTotals(s *server, query string, key func(map[string]string) string) (map[string]int, error) {
	var r struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := getJSON(s.web, "/api/v1/query?query="+url.QueryEscape(query), &r); err != nil {
		return nil, err
	}
	got := map[string]int{}
	for _, v := range r.Data.Result {
		text, _ := v.Value[1].(string)
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%s: value %v: %w", query, v.Value, err)
		}
		got[key(v.Metric)] += n
	}
	return got, nil
}
