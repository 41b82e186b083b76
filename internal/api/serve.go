package api

import (
	"net/http"
	"runtime/debug"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/door"
	"github.com/binnacle-mesh/binnacle/internal/pace"
)

// maxBody is how many bytes a body may have: what is asked by POST is a form with a query, or a list of matchers.
const maxBody = 1 << 20

// bodyPace is how fast it must come.
var bodyPace = pace.Pace{Grace: 10 * time.Second, Rate: 8 << 10, Most: time.Minute} //nolint:gochecknoglobals // immutable

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.metrics.inFlight.Inc()
	defer a.metrics.inFlight.Dec()
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	defer door.BoundBody(w, r, maxBody, bodyPace)()
	if no := a.deps.Door.Web(r); no != nil {
		a.fail(w, r, Problem, &Error{Status: no.Status, Detail: no.Detail, Refused: string(no.Reason)})
		return
	}
	if _, pattern := a.mux.Handler(r); pattern == "" {
		a.fail(w, r, Problem, a.notRouted(w, r))
		return
	}
	a.mux.ServeHTTP(w, r)
}

// recovered answers for a handler that panicked, if nothing is answered yet.
func (a *API) recovered(w *writer, r *http.Request, form func(int, string) Answer, v any) {
	if v == http.ErrAbortHandler { //nolint:errorlint // panics carry the value itself
		w.broken = true
		return
	}
	a.metrics.panics.Inc()
	a.log.Error("a handler panicked; this is a bug", "method", r.Method, "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
	if w.code != 0 {
		w.broken = true
		return
	}
	a.send(w, r, form(http.StatusInternalServerError, "a bug in the server; its log has more"))
}

// A writer remembers which status was sent. It passes on what a
// http.ResponseController asks for.
type writer struct {
	http.ResponseWriter
	code   int
	broken bool // the answer stopped in its middle
}

func (w *writer) WriteHeader(code int) {
	if w.code == 0 && code >= 200 {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *writer) Write(b []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) status() int {
	if w.code == 0 {
		return http.StatusOK
	}
	return w.code
}
