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
	if err := a.deps.Reload(r.Context()); err != nil {
		a.log.Warn("reload refused", "err", err)
		a.problem(w, r, http.StatusUnprocessableEntity, fmt.Sprintf("the configuration stays as it was: %v", err))
		return
	}
	a.plain(w, r, "reloaded\n")
}

func (a *API) plain(w http.ResponseWriter, r *http.Request, text string) {
	w.Header().Set("Cache-Control", "no-store")
	a.write(w, r, http.StatusOK, "text/plain; charset=utf-8", []byte(text))
}
