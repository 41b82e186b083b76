package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/telemetry"

	"github.com/binnacle-mesh/binnacle/internal/api"
)

// TestSearchesWaitForTheirTurn: one search runs, the next waits and is told so
// when its time is up, what needs no store is answered meanwhile, and the first's end
// lets a third in.
func TestSearchesWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := shop(newWorld(t, func(p *plan) { p.cfg.MaxConcurrentQueries, p.cfg.RequestTimeout = 1, 10*time.Second }))
		w.store.block = make(chan struct{})
		first := make(chan *httptest.ResponseRecorder)
		go func() { first <- w.ask("GET", "/api/traces?service=cart") }()
		synctest.Wait()
		time.Sleep(5 * time.Second)
		second := make(chan *httptest.ResponseRecorder)
		go func() { second <- w.ask("GET", "/api/v1/traces?service=cart") }()
		synctest.Wait()
		if rec := w.ask("GET", "/api/v1/graph"); rec.Code != http.StatusOK {
			t.Errorf("while searches wait the live graph is answered %d", rec.Code)
		}
		time.Sleep(4 * time.Second)
		close(w.store.block)
		if rec := <-first; rec.Code != http.StatusOK {
			t.Errorf("the first search was answered %d", rec.Code)
		}
		if rec := <-second; rec.Code != http.StatusOK {
			t.Errorf("the second search, whose turn came in time, was answered %d", rec.Code)
		}
	})
}

// Those that go through much wait among their like, and keep nobody else from searching.
func TestHeavySearchesLeavePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		w := shop(newWorld(t, func(p *plan) {
			p.cfg.MaxConcurrentQueries, p.cfg.RequestTimeout = 16, time.Minute
			p.prometheus = &asked{heavy: true, serve: func(http.ResponseWriter) { <-block }}
		}))
		var all sync.WaitGroup
		codes := make(chan int, 16)
		for range 16 { // as many as all the places
			all.Go(func() { codes <- w.ask("GET", "/api/v1/query?query=x").Code })
		}
		synctest.Wait()
		if rec := w.ask("GET", "/api/v1/traces?service=cart"); rec.Code != http.StatusOK {
			t.Errorf("beside 16 heavy searches a small one was answered %d", rec.Code)
		}
		close(block)
		all.Wait()
		close(codes)
		for code := range codes {
			if code != http.StatusOK {
				t.Errorf("a heavy search was answered %d", code)
			}
		}
	})
}

func TestSearchesThatCannotBeServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := shop(newWorld(t, func(p *plan) { p.cfg.MaxConcurrentQueries, p.cfg.RequestTimeout = 1, 10*time.Second }))
		w.store.block = make(chan struct{}) // for ever
		first, second := make(chan *httptest.ResponseRecorder), make(chan *httptest.ResponseRecorder)
		go func() { first <- w.ask("GET", "/api/v1/traces") }()
		synctest.Wait()
		// Past ranges of the graph are searches too; their first 10 s are spent waiting.
		go func() { second <- w.ask("GET", "/api/v1/graph?from=1795258800000") }()
		if rec := <-first; rec.Code != http.StatusGatewayTimeout || !strings.Contains(rec.Body.String(), "request_timeout") {
			t.Errorf("a search that never ends was answered %d %s", rec.Code, rec.Body)
		}
		rec := <-second
		if rec.Code != http.StatusOK && rec.Code != http.StatusServiceUnavailable {
			t.Errorf("the one that waited was answered %d %s", rec.Code, rec.Body)
		}
		for range 5 { // who never pause: the processor's, and those who are let compute beside
			ctx, question := w.desk.Open(t.Context())
			defer question.Close()
			if err := question.Begin(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if rec := w.ask("GET", "/api/v3/traces/ff"); rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
			t.Errorf("a request whose turn never came was answered %d %v", rec.Code, rec.Header())
		}
		if n := w.counter(t, "binnacle_api_refused_total", "reason", "busy"); n < 1 {
			t.Error("a request whose turn never came is not counted")
		}
		// Who goes away while waiting is not answered.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		gone := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/api/v1/services", nil).WithContext(ctx)
		r.Host = "localhost"
		w.api.ServeHTTP(gone, r)
		if gone.Body.Len() != 0 {
			t.Errorf("who had gone was answered %s", gone.Body)
		}
	})
}

// TestErrorsOfTheStores: what a store may say, and how each tongue says it.
func TestErrorsOfTheStores(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want int
	}{
		{telemetry.ErrOverloaded, http.StatusServiceUnavailable},
		{telemetry.ErrClosed, http.StatusServiceUnavailable},
		{telemetry.ErrNotFound, http.StatusNotFound},
		{errors.New("disk"), http.StatusInternalServerError},
	} {
		w := shop(newWorld(t))
		w.store.err, w.past.err = c.err, c.err
		for _, path := range []string{
			"/api/v1/traces", "/api/v1/traces/ff", "/api/v1/services", "/api/v1/graph?from=1795258800000",
			"/api/services", "/api/services/a/operations", "/api/operations?service=a", "/api/traces", "/api/traces/ff", "/api/dependencies",
			"/api/v3/services", "/api/v3/operations?service=a", "/api/v3/traces/ff", "/api/v3/dependencies",
			"/api/v3/traces?query.startTimeMin=2026-11-21T11:00:00Z&query.startTimeMax=2026-11-21T12:00:00Z",
			"/api/v3/trace-summaries?query.startTimeMin=2026-11-21T11:00:00Z&query.startTimeMax=2026-11-21T12:00:00Z",
		} {
			if rec := w.ask("GET", path); rec.Code != c.want {
				t.Errorf("%s while the store says %q: %d %s, want %d", path, c.err, rec.Code, rec.Body, c.want)
			}
		}
		if c.want == http.StatusInternalServerError && strings.Count(w.log.String(), "request failed") != 16 {
			t.Errorf("the log does not hold each of 16 faults:\n%s", w.log)
		}
	}
}

// TestPanicIsAnAnswer: a handler that panics before it answers is an error 500,
// counted and logged; one that panics in the middle ends the connection.
func TestPanicIsAnAnswer(t *testing.T) {
	t.Parallel()
	before, middle := true, false
	w := newWorld(t, func(p *plan) {
		p.prometheus = &asked{serve: func(rw http.ResponseWriter) {
			if middle {
				_, _ = rw.Write([]byte("half"))
			}
			if before || middle {
				panic("off by one")
			}
		}}
	})
	rec := w.ask("GET", "/api/v1/query")
	if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), "off by one") {
		t.Errorf("a panic was answered %d %s", rec.Code, rec.Body)
	}
	if !strings.Contains(w.log.String(), "off by one") || !strings.Contains(w.log.String(), "work_test.go") {
		t.Errorf("the log has neither the panic nor its stack: %s", w.log)
	}
	before, middle = false, true
	func() {
		defer func() {
			if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
				t.Errorf("half an answer ended with %v, which net/http does not take for an abort", v)
			}
		}()
		w.ask("GET", "/api/v1/query")
	}()
	if n := w.counter(t, "binnacle_api_panics_total"); n != 2 {
		t.Errorf("%v panics are counted, want 2", n)
	}
	middle = false
	if rec := w.ask("GET", "/api/v1/query"); rec.Code != http.StatusOK {
		t.Errorf("after panics the route is answered %d", rec.Code)
	}
}

// TestMetricsNameRoutesAndNotPaths: whatever paths are asked, the series are as
// many as routes and codes.
func TestMetricsNameRoutesAndNotPaths(t *testing.T) {
	t.Parallel()
	w := shop(newWorld(t))
	for _, id := range []string{"1", "2", "3", "4", "ff"} {
		w.ask("GET", "/api/v1/traces/"+id)
		w.ask("GET", "/some/page/"+id, "Accept", "text/html")
	}
	if n := w.counter(t, "binnacle_api_requests_total", "route", "GET /api/v1/traces/{trace_id}", "code", "404"); n != 4 {
		t.Errorf("%v traces not found are counted, want 4", n)
	}
	if n := w.counter(t, "binnacle_api_requests_total", "route", "GET /", "code", "200"); n != 5 {
		t.Errorf("%v pages are counted, want 5", n)
	}
	page := w.ask("GET", "/metrics")
	if s := page.Body.String(); !strings.Contains(s, `route="GET /api/v1/traces/{trace_id}"`) || strings.Contains(s, "/some/page") {
		t.Errorf("/metrics is\n%s", s)
	}
}

func TestLargeAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	w := shop(newWorld(t))
	plain := w.ask("GET", "/api/v1/graph")
	packed := w.ask("GET", "/api/v1/graph", "Accept-Encoding", "gzip, br")
	if packed.Header().Get("Content-Encoding") != "gzip" || packed.Header().Get("Vary") != "Accept-Encoding" {
		t.Fatalf("not compressed: %v", packed.Header())
	}
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, plain.Body.Bytes()) {
		t.Error("the compressed answer is another")
	}
	if small := w.ask("GET", "/-/healthy", "Accept-Encoding", "gzip"); small.Header().Get("Content-Encoding") != "" {
		t.Error("an answer of one line was compressed")
	}
}

func TestConfigIsValidated(t *testing.T) {
	t.Parallel()
	if err := api.DefaultConfig().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	for want, change := range map[string]func(*api.Config){
		"request_timeout":         func(c *api.Config) { c.RequestTimeout = time.Millisecond },
		"max_concurrent_queries":  func(c *api.Config) { c.MaxConcurrentQueries = 0 },
		"max_streams_per_address": func(c *api.Config) { c.MaxStreamsPerAddress = 0 },
		"max_answer_bytes":        func(c *api.Config) { c.MaxAnswerBytes = 1 },
		"max_streams":             func(c *api.Config) { c.MaxStreams = -1 },
		"dialects.jaeger.prefix":  func(c *api.Config) { c.Dialects.Jaeger.Prefix = "jaeger/" },
	} {
		c := api.DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want+": ") {
			t.Errorf("want a complaint about %s, got %v", want, err)
		}
	}
	if _, err := api.New(api.DefaultConfig(), api.Deps{}); err == nil || !strings.Contains(err.Error(), "Deps.Dialects") {
		t.Errorf("a port that speaks nothing: %v", err)
	}
	_, err := tryWorld(t, func(p *plan) {
		p.deps.Registerer.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "binnacle_api_panics_total", Help: "Taken."}))
	})
	if err == nil || !strings.Contains(err.Error(), "register metrics") {
		t.Errorf("metrics registered twice: %v", err)
	}
}

// TestRangesReachTheStore: what a question says of time is what the store is asked.
func TestRangesReachTheStore(t *testing.T) {
	t.Parallel()
	for target, want := range map[string][2]time.Time{
		"/api/v1/graph?from=1795258800000":                              {noon.Add(-time.Hour), noon},
		"/api/v1/graph?from=2026-11-21T10:00:00Z&to=1795258800000":      {noon.Add(-2 * time.Hour), noon.Add(-time.Hour)},
		"/api/dependencies":                                             {noon.Add(-24 * time.Hour), noon},
		"/api/dependencies?endTs=1795258800000&lookback=1000":           {noon.Add(-time.Hour - time.Second), noon.Add(-time.Hour)},
		"/api/v3/dependencies?startTime=2026-11-21T09:00:00.000000001Z": {noon.Add(-3*time.Hour + 1), noon},
		"/api/dependencies?lookback=9223372036854775807":                {noon.Add(-366 * 24 * time.Hour), noon},
		"/api/v3/dependencies?startTime=1970-01-02T00:00:00Z":           {noon.Add(-366 * 24 * time.Hour), noon},
	} {
		w := shop(newWorld(t))
		if rec := w.ask("GET", target); rec.Code != http.StatusOK {
			t.Errorf("%s: %d %s", target, rec.Code, rec.Body)
		}
		if diff := cmp.Diff(want, [2]time.Time{w.past.from.UTC(), w.past.to.UTC()}); diff != "" {
			t.Errorf("%s asked the wrong range (-want +got):\n%s", target, diff)
		}
	}
}
