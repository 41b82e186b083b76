package api

import (
	"fmt"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// operating is what whoever runs the server asks: the host's own paths.
type operating struct{ a *API }

func (a *API) own() []Mounted {
	return []Mounted{{Name: "operating", Dialect: operating{a}, Mount: Always()}}
}

// Error is a problem as RFC 9457 has it.
func (operating) Error(status int, detail string) Answer { return Problem(status, detail) }

// Routes is metrics, health, reload, and where it is configured Go's profiles.
func (o operating) Routes() []Route {
	routes := []Route{
		{Pattern: "GET /metrics", Serve: By(promhttp.HandlerFor(o.a.deps.Gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}))},
		{Pattern: "GET /-/ready", Answer: o.ready},
		{Pattern: "GET /-/healthy", Answer: o.healthy},
		{Pattern: "POST /-/reload", Answer: o.reload},
	}
	if !o.a.cfg.Pprof {
		return routes
	}
	for path, h := range map[string]http.HandlerFunc{
		"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		routes = append(routes, Route{Pattern: "GET /debug/pprof/" + path, Cost: Endless, Serve: By(h)})
	}
	return routes
}

// By lets a handler of another's making serve a route.
func By(h http.Handler) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	}
}

func (o operating) ready(*http.Request) (Answer, error) {
	if err := o.a.deps.Ready(); err != nil {
		return Answer{}, &Error{Status: http.StatusServiceUnavailable, Detail: "not ready: " + err.Error()}
	}
	return Text("ready\n"), nil
}

// healthy says that the process lives and answers: whoever is told otherwise restarts it, which mends no disk. Why it is not ready is told as well.
func (o operating) healthy(*http.Request) (Answer, error) {
	if err := o.a.deps.Ready(); err != nil {
		return Text("healthy, but not ready: " + err.Error() + "\n"), nil //nolint:nilerr // it is the answer
	}
	return Text("healthy\n"), nil
}

// reload reads the configuration again, all or nothing.
func (o operating) reload(r *http.Request) (Answer, error) {
	told, err := o.a.deps.Reload(r.Context())
	if err != nil {
		return Answer{}, &Error{Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf("the configuration stays as it was: %v", err)}
	}
	return Value(told)
}
