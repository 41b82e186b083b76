package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
)

// A route is one line of the table of everything that is served.
type route struct {
	pattern string // as net/http.ServeMux reads it; also the label of its metrics
	handle  http.HandlerFunc
	cost    cost
}

// cost says what may be spent on a request.
type cost uint8

const (
	cheap   cost = iota // answered from memory
	search              // reads a store: waits for its turn
	endless             // a stream or a profile: no timeout
)

// prometheusPaths are answered by Prometheus' own handler.
var prometheusPaths = [...]string{ //nolint:gochecknoglobals // immutable
	"query", "query_range", "query_exemplars", "labels", "label/{name}/values", "series", "metadata", "status/{what}",
	"format_query", "parse_query",
}

// table is everything that is served but the web view. docs/api/http.md says
// the same in words, and a test compares them.
func (a *API) table() []route {
	t := []route{
		{"GET /api/v1/graph", a.graph, cheap},
		{"GET /api/v1/graph/stream", a.stream, endless},
		{"GET /api/v1/traces", a.searchTraces, search},
		{"GET /api/v1/traces/{trace_id}", a.trace, search},
		{"GET /api/v1/services", a.services, search},
		{"GET /api/v1/quotas", a.quotas, cheap},
		{"GET /api/v1/status", a.status, cheap},
		{"GET /api/v1/connect/{sender}", a.connect, cheap},
		{"GET /api/v1/config/schema.json", a.configSchema, cheap},

		{"GET /api/services", a.jaegerServices, search},
		{"GET /api/services/{service}/operations", a.jaegerServiceOperations, search},
		{"GET /api/operations", a.jaegerOperations, search},
		{"GET /api/traces", a.jaegerSearch, search},
		{"GET /api/traces/{trace_id}", a.jaegerTrace, search},
		{"GET /api/dependencies", a.jaegerDependencies, search},
		{"GET /api/v3/services", a.jaeger3Services, search},
		{"GET /api/v3/operations", a.jaeger3Operations, search},
		{"GET /api/v3/traces", a.jaeger3Search, search},
		{"GET /api/v3/traces/{trace_id}", a.jaeger3Trace, search},
		{"GET /api/v3/trace-summaries", a.jaeger3Summaries, search},
		{"GET /api/v3/dependencies", a.jaeger3Dependencies, search},

		{"GET /metrics", a.metricsPage(), cheap},
		{"GET /-/ready", a.ready, cheap},
		{"GET /-/healthy", a.healthy, cheap},
		{"POST /-/reload", a.reload, cheap},
	}
	for _, p := range prometheusPaths {
		t = append(t,
			route{"GET /api/v1/" + p, a.deps.Prometheus.ServeHTTP, cheap},
			route{"POST /api/v1/" + p, a.deps.Prometheus.ServeHTTP, cheap})
	}
	if a.cfg.Pprof {
		t = append(t,
			route{"GET /debug/pprof/", pprof.Index, endless},
			route{"GET /debug/pprof/cmdline", pprof.Cmdline, endless},
			route{"GET /debug/pprof/profile", pprof.Profile, endless},
			route{"GET /debug/pprof/symbol", pprof.Symbol, endless},
			route{"GET /debug/pprof/trace", pprof.Trace, endless})
	}
	return append(t, route{"GET /", a.webPage, cheap})
}

func (a *API) register() {
	a.routes = a.table()
	for _, rt := range a.routes {
		a.mux.Handle(rt.pattern, a.serve(rt))
	}
}

// serve is a route's handler with all that surrounds it.
func (a *API) serve(rt route) http.Handler {
	duration := a.metrics.duration.WithLabelValues(rt.pattern)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		start := a.now()
		w := &writer{ResponseWriter: rw}
		defer func() {
			v := recover()
			if v != nil {
				a.recovered(w, r, v)
			}
			a.metrics.requests.WithLabelValues(rt.pattern, strconv.Itoa(w.status())).Inc()
			if rt.cost != endless {
				duration.Observe(a.now().Sub(start).Seconds())
			}
			if v != nil && w.code != 0 && w.broken {
				panic(http.ErrAbortHandler) // half an answer must not look whole
			}
		}()
		if rt.cost != endless {
			ctx, cancel := context.WithTimeout(r.Context(), a.cfg.RequestTimeout)
			defer cancel()
			r = r.WithContext(ctx)
		}
		if rt.cost == search {
			if !a.takeTurn(w, r) {
				return
			}
			defer func() { <-a.turns }()
		}
		rt.handle(w, r)
	})
}

// takeTurn waits until one more request may search. It answers the request
// itself when the time is up before.
func (a *API) takeTurn(w http.ResponseWriter, r *http.Request) bool {
	select {
	case a.turns <- struct{}{}:
		return true
	case <-r.Context().Done():
	}
	if errors.Is(r.Context().Err(), context.Canceled) {
		return false // nobody is there to be answered
	}
	a.metrics.refused.WithLabelValues("busy").Inc()
	w.Header().Set("Retry-After", "5")
	a.problem(w, r, http.StatusServiceUnavailable, fmt.Sprintf(
		"%d searches were under way for %s; ask again later, ask for less, or raise max_concurrent_queries", a.cfg.MaxConcurrentQueries, a.cfg.RequestTimeout))
	return false
}

// notRouted answers for a path that nothing is at, and for one that was asked
// by the wrong method, which the mux would answer with plain text.
func (a *API) notRouted(w http.ResponseWriter, r *http.Request) {
	var allow []string
	for _, m := range []string{http.MethodGet, http.MethodPost} {
		probe := r.Clone(r.Context())
		probe.Method = m
		if _, pattern := a.mux.Handler(probe); pattern != "" && !strings.HasSuffix(pattern, " /") {
			allow = append(allow, m)
		}
	}
	if len(allow) == 0 {
		a.problem(w, r, http.StatusNotFound, fmt.Sprintf("nothing is served at %s; docs/api/http.md lists what is", quote(r.URL.Path)))
		return
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	a.problem(w, r, http.StatusMethodNotAllowed, fmt.Sprintf("%s cannot be asked by %s, only by %s", quote(r.URL.Path), r.Method, strings.Join(allow, " or ")))
}
