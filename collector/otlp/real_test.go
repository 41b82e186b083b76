package otlp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/binnacle-mesh/binnacle/internal/shelf"
)

// TestRealJSON decodes what real senders and other projects' tests have in
// OTLP's JSON, and compares with protobuf's own reading of it.
func TestRealJSON(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	messages, spans, beyond := 0, 0, 0
	for name, body := range shelf.Files(t, shelf.Fixtures, func(string) bool { return true }) {
		ext := path.Ext(name)
		if ext != ".json" && ext != ".jsonl" || !bytes.Contains(body, []byte(`"resourceSpans"`)) {
			continue
		}
		lines := [][]byte{body}
		if ext == ".jsonl" {
			lines = bytes.Split(bytes.TrimSpace(body), []byte("\n"))
		}
		for _, msg := range lines {
			req := &collectorpb.ExportTraceServiceRequest{}
			if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(protobufIDs(msg), req); err != nil || len(req.ResourceSpans) == 0 {
				continue // another message that contains the word
			}
			var d decoder
			d.begin(in)
			if err := d.json(msg); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			messages++
			spans += len(d.Batch.Spans)
			want, ok := oracle(req)
			if !ok {
				beyond++
				continue
			}
			if diff := cmp.Diff(want, plainBatch(d.Batch)); diff != "" {
				t.Errorf("%s (-protobuf +ours):\n%s", name, diff)
			}
		}
	}
	if spans == 0 || beyond > messages/2 {
		t.Errorf("%d messages with %d spans, of which the oracle does not cover %d", messages, spans, beyond)
	}
	t.Logf("%d messages, %d spans; %d messages had something to repair", messages, spans, beyond)
}

// protobufIDs is msg with its ids in base64, as protobuf's own JSON has them;
// what is no id of OTLP's becomes one of no use.
func protobufIDs(msg []byte) []byte {
	return base64ID.ReplaceAllFunc(msg, func(m []byte) []byte {
		at := bytes.LastIndexByte(m[:len(m)-1], '"')
		id, err := hex.DecodeString(string(m[at+1 : len(m)-1]))
		if err != nil || len(id) != 0 && len(id) != 8 && len(id) != 16 {
			id = []byte{1}
		}
		return append(append(append([]byte(nil), m[:at+1]...), base64.StdEncoding.EncodeToString(id)...), '"')
	})
}
