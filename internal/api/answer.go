package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

const (
	jsonType    = "application/json"
	problemType = "application/problem+json"
	// gzipFrom is the size in bytes from which compressing an answer is worth
	// its time: what does not fit into one packet.
	gzipFrom = 1400
)

// A problem is an error as RFC 9457 writes it.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// problem answers with an error.
func (a *API) problem(w http.ResponseWriter, r *http.Request, status int, detail string) {
	body, err := json.Marshal(problem{http.StatusText(status), status, detail})
	if err != nil {
		panic("BUG: api: three plain fields do not encode: " + err.Error())
	}
	w.Header().Set("Cache-Control", "no-store")
	a.write(w, r, status, problemType, body)
}

// fail answers for an error of internal/query or of what lies below.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, detail := a.classify(r, err)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	a.problem(w, r, status, detail)
}

// classify is an error's status, and what the asker is told. What is
// the server's own fault is logged as well.
func (a *API) classify(r *http.Request, err error) (status int, detail string) {
	var invalid *query.InvalidError
	switch {
	case errors.As(err, &invalid):
		return http.StatusBadRequest, invalid.Error()
	case errors.Is(err, telemetry.ErrNotFound):
		return http.StatusNotFound, err.Error()
	case errors.Is(err, telemetry.ErrOverloaded), errors.Is(err, telemetry.ErrClosed):
		return http.StatusServiceUnavailable, err.Error()
	case errors.Is(r.Context().Err(), context.DeadlineExceeded):
		return http.StatusGatewayTimeout, fmt.Sprintf("no answer within %s; ask for a shorter range or fewer traces, or raise request_timeout", a.cfg.RequestTimeout)
	case errors.Is(r.Context().Err(), context.Canceled):
		return 499, "the client went away" // as nginx counts them; nobody reads it
	}
	a.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	return http.StatusInternalServerError, err.Error()
}

// answerJSON answers with JSON that is made anew for each request.
func (a *API) answerJSON(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("Cache-Control", "no-store")
	a.write(w, r, http.StatusOK, jsonType, body)
}

// answerValue is answerJSON for a value that encoding/json knows to write.
func (a *API) answerValue(w http.ResponseWriter, r *http.Request, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		a.fail(w, r, fmt.Errorf("encode the answer: %w", err))
		return
	}
	a.answerJSON(w, r, body)
}

// write sends an answer, compressed if that pays and the client takes it.
func (a *API) write(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	if len(body) >= gzipFrom {
		h.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			body = a.compress(body)
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that is gone cannot be told so
	}
}

// compress is body as one gzip member. Compressors are used again: each holds a
// megabyte of tables.
func (a *API) compress(body []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(body)/4 + 64)
	z, ok := a.gzips.Get().(*gzip.Writer)
	if !ok {
		z = newGzip(gzip.BestSpeed)
	}
	z.Reset(&out)
	writeGzip(z, body)
	a.gzips.Put(z)
	return out.Bytes()
}

func newGzip(level int) *gzip.Writer {
	z, err := gzip.NewWriterLevel(nil, level)
	if err != nil {
		panic("BUG: api: " + err.Error())
	}
	return z
}

// writeGzip writes all of body to a compressor over memory, which cannot fail.
func writeGzip(z *gzip.Writer, body []byte) {
	_, err := z.Write(body)
	if err2 := z.Close(); err == nil {
		err = err2
	}
	if err != nil {
		panic("BUG: api: compressing into memory failed: " + err.Error())
	}
}

// notModified answers 304 if the client has the version of that tag.
func notModified(w http.ResponseWriter, r *http.Request, etag string) bool {
	w.Header().Set("ETag", etag)
	for have := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if have = strings.TrimSpace(have); have == "*" || strings.TrimPrefix(have, "W/") == strings.TrimPrefix(etag, "W/") {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}
