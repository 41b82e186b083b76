package otlp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"strconv"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/binnacle-mesh/binnacle/collector"
)

// Path is where exporters post traces to.
const Path = "/v1/traces"

const (
	typeProto = "application/x-protobuf"
	typeJSON  = "application/json"
)

// ServeHTTP answers POST /v1/traces: protobuf or JSON, plain, gzip or zstd.
// Errors are a google.rpc.Status in the request's own encoding.
//
// The server should have a ReadHeaderTimeout; the body's arrival is bounded here.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asJSON, code, err := mediaType(r)
	if err != nil {
		if code == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", http.MethodPost)
		}
		refuse(w, true, code, s.in.Refuse(&collector.Refusal{Reason: collector.Unsupported, Err: err}))
		return
	}
	rejected, first, refusal := s.post(w, r, asJSON)
	if refusal != nil {
		refuse(w, asJSON, refusal.HTTPStatus(), refusal)
		return
	}
	reply(w, asJSON, rejected, first)
}

// mediaType says whether the body is JSON and not protobuf, and with which
// status to refuse what is no export of traces.
func mediaType(r *http.Request) (asJSON bool, code int, err error) {
	if r.URL.Path != Path {
		return false, http.StatusNotFound, fmt.Errorf("nothing is received at %.100q: POST traces to %s", r.URL.Path, Path)
	}
	if r.Method != http.MethodPost {
		return false, http.StatusMethodNotAllowed, fmt.Errorf("method %s is not spoken here: POST an export request", r.Method)
	}
	mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && mt == typeProto:
		return false, 0, nil
	case err == nil && mt == typeJSON:
		return true, 0, nil
	}
	return false, http.StatusUnsupportedMediaType,
		fmt.Errorf("content type %.100q is not spoken here: send %s or %s", r.Header.Get("Content-Type"), typeProto, typeJSON)
}

func (s *Service) post(w http.ResponseWriter, r *http.Request, asJSON bool) (rejected int, first string, refusal *collector.Refusal) {
	msg, b, refusal := s.bodies.Read(w, r)
	defer s.bodies.Release(b)
	if refusal != nil {
		return 0, "", refusal
	}
	decode := (*decoder).proto
	if asJSON {
		decode = (*decoder).json
	}
	rejected, first, err := s.take(r.Context(), msg, decode)
	if err != nil && !errors.As(err, &refusal) {
		refusal = &collector.Refusal{Reason: collector.Failed, Err: err}
	}
	return rejected, first, refusal
}

// reply says that the message is durable.
func reply(w http.ResponseWriter, asJSON bool, rejected int, first string) {
	var body []byte
	switch {
	case asJSON && rejected == 0:
		body = []byte("{}")
	case asJSON:
		type partial struct {
			RejectedSpans string `json:"rejectedSpans"` // protobuf's JSON writes 64-bit numbers as text
			ErrorMessage  string `json:"errorMessage"`
		}
		body, _ = json.Marshal(map[string]partial{"partialSuccess": {strconv.Itoa(rejected), rejectedMessage(rejected, first)}})
	case rejected > 0:
		body = partialSuccess(rejected, first)
	}
	write(w, asJSON, http.StatusOK, body)
}

// refuse writes a refusal as a google.rpc.Status.
func refuse(w http.ResponseWriter, asJSON bool, code int, refusal *collector.Refusal) {
	if refusal.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(refusal.RetryAfter.Seconds()))))
	}
	if refusal.Reason == collector.Slow || refusal.Reason == collector.TooLarge {
		w.Header().Set("Connection", "close") // the rest of the body is not worth reading
	}
	st := refusal.GRPCStatus().Proto()
	var body []byte
	if asJSON {
		st.Details = nil // JSON would need the types behind them; Retry-After says the same
		body, _ = protojson.Marshal(st)
	} else {
		body, _ = proto.Marshal(st)
	}
	write(w, asJSON, code, body)
}

func write(w http.ResponseWriter, asJSON bool, code int, body []byte) {
	mt := typeProto
	if asJSON {
		mt = typeJSON
	}
	w.Header().Set("Content-Type", mt)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body) // a sender that has gone away learns nothing, and sends again
}
