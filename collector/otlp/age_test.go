package otlp

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/binnacle-mesh/binnacle/collector"
)

// TestOldSpansAreTold has spans come that are older than the server keeps them:
// their sender learns how many, and which setting it is, by each way of OTLP.
func TestOldSpansAreTold(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *collector.Config) { c.Limits.MaxAge = time.Hour })
	req := newLoad(1).request(4)
	spans := req.ResourceSpans[0].ScopeSpans[0].Spans
	spans[0].Name = "late"
	spans[0].StartTimeUnixNano = uint64(testNow.Add(-61 * time.Minute).UnixNano())
	spans[0].EndTimeUnixNano = spans[0].StartTimeUnixNano + 1
	want := `1 spans were rejected; the first: span "late" started longer ago than this server keeps spans (receive.limits.max_age)`

	check := func(way string, resp *collectorpb.ExportTraceServiceResponse) {
		t.Helper()
		if p := resp.GetPartialSuccess(); p.GetRejectedSpans() != 1 || p.GetErrorMessage() != want {
			t.Errorf("%s: %d rejected, %q; want 1, %q", way, p.GetRejectedSpans(), p.GetErrorMessage(), want)
		}
	}
	resp, err := collectorpb.NewTraceServiceClient(s.conn).Export(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	check("gRPC", resp)
	binary, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	for mediaType, body := range map[string][]byte{typeProto: binary, typeJSON: otlpJSON(t, req)} {
		h, err := http.Post(s.url, mediaType, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(h.Body)
		_ = h.Body.Close()
		if err != nil || h.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", mediaType, h.StatusCode, err)
		}
		back, unmarshal := &collectorpb.ExportTraceServiceResponse{}, proto.Unmarshal
		if mediaType == typeJSON {
			unmarshal = protojson.Unmarshal
		}
		if err := unmarshal(answer, back); err != nil {
			t.Fatalf("%s: %v: %q", mediaType, err, answer)
		}
		check(mediaType, back)
	}
	if got, _ := s.Log.Count(t); got != 9 {
		t.Errorf("%d spans in the log, want three times 3", got)
	}
}
