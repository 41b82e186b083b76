package door

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/pace"
)

// Intake is what may come by a request that brings data.
type Intake struct {
	// Types are the content types that are taken; nil leaves it to the handler to refuse others, which it must.
	Types []string
	// MaxBody is how many bytes a body may have as it is sent.
	MaxBody int64
	// Pace is how fast a body must come. The zero one leaves it to the handler, which must bound it.
	Pace pace.Pace
}

// Receive is the handler of an HTTP port that takes data: who may send, and next, if it may. A refusal is told in plain text, as by
// any HTTP server that knows no more of its client; senders go by its status.
func (d *Door) Receive(port string, next http.Handler, in Intake, log *slog.Logger) http.Handler {
	m := d.metrics.of(port)
	refuse := func(w http.ResponseWriter, r *Refusal) {
		m.refused(r.Reason)
		w.Header().Set("Connection", "close") // what follows is not worth reading
		http.Error(w, r.Detail, r.Status)
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w := &answer{ResponseWriter: rw}
		defer func() { recovered(recover(), w, r, m, log) }()
		defer BoundBody(rw, r, in.MaxBody, in.Pace)()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if d.Allowed(r) {
			w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			w.Header().Add("Vary", "Origin")
		}
		if refusal := d.Rules.Receive(r, in.Types); refusal != nil {
			refuse(w, refusal)
			return
		}
		if r.Method == http.MethodOptions && d.Allowed(r) {
			mayFollow(w, r)
			return
		}
		if r.ContentLength > in.MaxBody {
			refuse(w, &Refusal{http.StatusRequestEntityTooLarge, BodySize, "the body has " + strconv.FormatInt(r.ContentLength, 10) + " bytes, the limit is " +
				strconv.FormatInt(in.MaxBody, 10) + ": send less at a time"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// mayFollow answers a browser that asks whether a page may send.
func mayFollow(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", http.MethodPost)
	if headers := r.Header.Get("Access-Control-Request-Headers"); len(headers) < 1024 {
		h.Set("Access-Control-Allow-Headers", headers)
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// drainWithin is how long what is left of a body may take to come once it is answered, so that the connection can be used again.
const drainWithin = time.Second

// BoundBody bounds how much the body of a request may hold and how slowly it may come: then its reader fails, with
// [http.MaxBytesError] or [os.ErrDeadlineExceeded]. Whoever has answered calls done: net/http reads what is
// left of a body before it closes the connection, and waits for it as long as it takes.
func BoundBody(w http.ResponseWriter, r *http.Request, most int64, p pace.Pace) (done func()) {
	if r.Body == nil || r.Body == http.NoBody {
		return func() {}
	}
	rc := http.NewResponseController(w)
	b := p.Follow(http.MaxBytesReader(w, r.Body, most), rc)
	r.Body = b
	return func() {
		if !b.Over() {
			_ = rc.SetReadDeadline(time.Now().Add(drainWithin))
		}
	}
}

// answer remembers whether it has begun.
type answer struct {
	http.ResponseWriter
	begun bool
}

// WriteHeader begins it.
func (a *answer) WriteHeader(code int) {
	a.begun = a.begun || code >= http.StatusOK
	a.ResponseWriter.WriteHeader(code)
}

// Write begins it.
func (a *answer) Write(b []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// recovered answers for a handler that panicked. If the answer has begun the connection is cut, so that half of one does not look whole.
func recovered(v any, w *answer, r *http.Request, m portMetrics, log *slog.Logger) {
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { //nolint:errorlint // panics carry the value itself
		panic(v)
	}
	m.panicked(log, r.Method+" "+r.URL.Path, v)
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	http.Error(w, "a bug in the server; its log has more", http.StatusInternalServerError)
}

// Panicked tells of panics in calls of a port that does not speak HTTP. It must be called by the function that recovers.
func (d *Door) Panicked(port string, log *slog.Logger) func(call string, v any) {
	m := d.metrics.of(port)
	return func(call string, v any) { m.panicked(log, call, v) }
}

func (m portMetrics) panicked(log *slog.Logger, call string, v any) {
	m.panics.Inc()
	log.Error("a receiver panicked; this is a bug", "call", call, "panic", v, "stack", string(debug.Stack()))
}
