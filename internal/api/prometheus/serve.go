package prometheus

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/klauspost/compress/gzip"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/ask"
)

// inMemory is how much of a multipart form is kept off the disk: all, since no body is longer.
const inMemory = 1 << 20

// serve looks at what is asked before Prometheus' own handlers parse it.
func (d *Dialect) serve(w http.ResponseWriter, r *http.Request) error {
	if err := d.check(r); err != nil {
		return err
	}
	rec := &recorder{question: ask.Of(r.Context()), header: http.Header{}}
	if d.engine.Heavy(r.Form.Get("query")) {
		if err := rec.question.Heavy(r.Context()); err != nil {
			return err
		}
	}
	if rec.question != nil && r.Form.Get("query") == "" { // what is selected becomes the answer as it is
		rec.question.Shape(1, 0, 0, 0)
	}
	inner := r.WithContext(context.WithValue(r.Context(), recorderKey{}, rec))
	inner.Header = r.Header.Clone()
	inner.Header.Del("Accept-Encoding") // compressed when it is sent
	d.router.ServeHTTP(rec, inner)
	if rec.err != nil {
		return rec.err
	}
	if no := rec.question.Refusal(); no != nil && rec.status() >= http.StatusBadRequest { // the handlers know no better than 422
		return no
	}
	rec.question.Rest()
	rec.question.Keep(rec.size)
	d.send(w, r, rec)
	return nil
}

// send sends a recorded answer. One that is compressed is so on its way.
func (d *Dialect) send(w http.ResponseWriter, r *http.Request, rec *recorder) {
	h := w.Header()
	for k, v := range rec.header {
		h[k] = v
	}
	h.Del("Content-Length")
	if rec.size < gzipFrom || !api.AcceptsGzip(r) {
		h.Set("Content-Length", strconv.FormatInt(rec.size, 10))
		w.WriteHeader(rec.status())
		_ = api.WriteAll(w, rec.parts...) // a client that is gone cannot be told so
		return
	}
	h.Set("Content-Encoding", "gzip")
	h.Add("Vary", "Accept-Encoding")
	w.WriteHeader(rec.status())
	z, ok := d.gzips.Get().(*gzip.Writer)
	if !ok {
		z, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is right
	}
	z.Reset(pieces{w})
	defer d.gzips.Put(z)
	for _, p := range rec.parts {
		if _, err := z.Write(p); err != nil {
			return // a client that is gone cannot be told so
		}
	}
	_ = z.Close()
}

// gzipFrom is the size from which compressing an answer is worth its time.
const gzipFrom = 1400

// pieces writes what comes from a compressor as the answers of other dialects are written.
type pieces struct{ w http.ResponseWriter }

func (p pieces) Write(b []byte) (int, error) {
	if err := api.WriteAll(p.w, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// check reads the parameters as the handlers will, and looks at those that are parsed further.
func (d *Dialect) check(r *http.Request) error {
	err := r.ParseForm()
	if err == nil {
		if err = r.ParseMultipartForm(inMemory); errors.Is(err, http.ErrNotMultipart) {
			err = nil
		}
	}
	if err != nil {
		return &api.Error{Status: http.StatusBadRequest, Detail: "the parameters cannot be read: " + err.Error()}
	}
	err = d.engine.CheckText(r.Form.Get("query"))
	if err == nil {
		err = d.engine.CheckSelectors(r.Form["match[]"])
	}
	if err != nil {
		return &api.Error{Status: http.StatusBadRequest, Detail: err.Error()}
	}
	return nil
}
