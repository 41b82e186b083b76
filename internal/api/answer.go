package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

const (
	jsonType    = "application/json"
	problemType = "application/problem+json"
	// gzipFrom is the size in bytes from which compressing an answer is worth
	// its time: what does not fit into one packet.
	gzipFrom = 1400
)

// An Answer is an answer that is whole before it is sent. Its zero value is an
// empty 200 that nobody may keep.
type Answer struct {
	Status int    // 0 is 200
	Type   string // the Content-Type; "" is JSON
	Body   []byte // not changed any more
	// Cache is the Cache-Control; "" is no-store.
	Cache  string
	ETag   string
	Header map[string]string // further headers
}

// JSON is an answer of JSON that is made anew for each request.
func JSON(body []byte) Answer { return Answer{Body: body} }

// Text is an answer of plain text.
func Text(text string) Answer {
	return Answer{Type: "text/plain; charset=utf-8", Body: []byte(text)}
}

// Value is an answer of JSON for a value that encoding/json knows to write.
func Value(v any) (Answer, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return Answer{}, fmt.Errorf("encode the answer: %w", err)
	}
	return JSON(body), nil
}

// A problem is an error as RFC 9457 writes it.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// Problem is an error as RFC 9457 has it: the form of whoever has none of its own.
func Problem(status int, detail string) Answer {
	body, err := json.Marshal(problem{http.StatusText(status), status, detail})
	if err != nil {
		panic("BUG: api: three plain fields do not encode: " + err.Error())
	}
	return Answer{Status: status, Type: problemType, Body: body}
}

// send sends an answer, compressed if that pays and the client takes it.
func (a *API) send(w http.ResponseWriter, r *http.Request, ans Answer) {
	h := w.Header()
	for k, v := range ans.Header {
		h.Set(k, v)
	}
	h.Set("Cache-Control", or(ans.Cache, "no-store"))
	if ans.ETag != "" {
		h.Set("ETag", ans.ETag)
		if Has(r, ans.ETag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", or(ans.Type, jsonType))
	body := ans.Body
	if len(body) >= gzipFrom {
		h.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			body = a.compress(body)
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if ans.Status != 0 {
		w.WriteHeader(ans.Status)
	} else {
		w.WriteHeader(http.StatusOK)
	}
	if r.Method != http.MethodHead {
		_ = WriteAll(w, body) // a client that is gone cannot be told so
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Has says whether the client has the version of that tag (If-None-Match). Then an [Answer] of that ETag needs no body.
func Has(r *http.Request, etag string) bool {
	for have := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if have = strings.TrimSpace(have); have == "*" || strings.TrimPrefix(have, "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
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

// AcceptsGzip says whether the client takes gzip.
func AcceptsGzip(r *http.Request) bool { return acceptsGzip(r) }

// acceptsGzip reads Accept-Encoding as far as it concerns gzip.
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name = strings.TrimSpace(name); !strings.EqualFold(name, "gzip") && name != "*" {
			continue
		}
		q = strings.ReplaceAll(q, " ", "")
		return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
	}
	return false
}
