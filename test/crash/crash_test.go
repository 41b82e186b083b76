package crash

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCrash kills the server BINNACLE_CRASHES times (default 5) and checks the
// promise I1 and I2: nothing acknowledged is lost, nothing is counted twice.
func TestCrash(t *testing.T) {
	t.Parallel()
	crashes := 5
	if v := os.Getenv("BINNACLE_CRASHES"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("BINNACLE_CRASHES: %v", err)
		}
		crashes = n
	}
	seed := uint64(time.Now().UnixNano())
	if v := os.Getenv("BINNACLE_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("BINNACLE_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("seed %d (BINNACLE_SEED repeats the choices, though not the timing)", seed)
	rnd := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's chance
	bin, dir := serverBinary(t), t.TempDir()
	l := &load{seed: rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // a test's chance
	repairs := 0
	for i := range crashes {
		s := start(t, bin, dir)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { l.run(ctx, s.otlp) })
		time.Sleep(time.Duration(50+rnd.IntN(1500)) * time.Millisecond)
		s.kill()
		stop()
		wg.Wait()
		if bytes.Contains(s.log.Bytes(), []byte("cut a torn record")) {
			repairs++
		}
		if bytes.Contains(s.log.Bytes(), []byte("level=ERROR")) || bytes.Contains(s.log.Bytes(), []byte("panic")) {
			t.Fatalf("crash %d: the server complained:\n%s", i, s.log.String())
		}
	}
	s := start(t, bin, dir)
	defer s.kill()
	there := l.survivors(t, s)
	checkTotals(t, s, there)
	t.Logf("%d crashes, %d torn tails cut: %d spans acknowledged, %d of them lost, %d more found that were sent but not acknowledged",
		crashes, repairs, l.acked(), 0, spansPerTrace*len(there)-l.acked())
}

func (l *load) acked() (spans int) {
	for _, s := range l.sent {
		if s.acked {
			spans += spansPerTrace * len(s.traces)
		}
	}
	return spans
}

// survivors looks every trace up and returns the calls of those that are
// stored. An acknowledged export must be stored whole, any other whole or not at all.
func (l *load) survivors(t *testing.T, s *server) (calls []call) {
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
				results[i].spans[k] = countSpans(t, s, id)
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
