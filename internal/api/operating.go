package api

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func (a *API) metricsPage() http.HandlerFunc {
	return promhttp.HandlerFor(a.deps.Gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP
}

func (a *API) healthy(w http.ResponseWriter, r *http.Request) { a.plain(w, r, "healthy\n") }

func (a *API) ready(w http.ResponseWriter, r *http.Request) {
	if err := a.deps.Ready(); err != nil {
		a.problem(w, r, http.StatusServiceUnavailable, "not ready: "+err.Error())
		return
	}
	a.plain(w, r, "ready\n")
}

// reload reads the configuration again, all or nothing.
func (a *API) reload(w http.ResponseWriter, r *http.Request) {
	told, err := a.deps.Reload(r.Context())
	if err != nil {
		a.problem(w, r, http.StatusUnprocessableEntity, fmt.Sprintf("the configuration stays as it was: %v", err))
		return
	}
	a.answerValue(w, r, told)
}

// configSchema is for editors, which complete a configuration by it.
func (a *API) configSchema(w http.ResponseWriter, r *http.Request) {
	a.write(w, r, http.StatusOK, "application/schema+json", a.deps.ConfigSchema)
}

func (a *API) plain(w http.ResponseWriter, r *http.Request, text string) {
	w.Header().Set("Cache-Control", "no-store")
	a.write(w, r, http.StatusOK, "text/plain; charset=utf-8", []byte(text))
}
