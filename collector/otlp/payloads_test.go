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
	"google.golang.org/protobuf/proto"

	"github.com/binnacle-mesh/binnacle/internal/shelf"
)

// TestPayloads decodes OTLP's JSON of our own, and what real senders and other projects' tests have where the shelf is, and
// compares with protobuf's own reading of it. What protobuf makes of it is then sent as protobuf as well: one meaning,
// whichever the encoding.
func TestPayloads(t *testing.T) {
	t.Parallel()
	files := shelf.Own(t, "payloads")
	if own := payloads(t, files); own != [2]int{7, 9} {
		t.Errorf("our own payloads: %d messages with %d spans were compared", own[0], own[1])
	}
	if others, ok := shelf.Others(t, shelf.Fixtures, func(string) bool { return true }); ok {
		compared := payloads(t, others)
		t.Logf("of others %d messages with %d spans were compared", compared[0], compared[1])
		if compared[1] < 50 {
			t.Error("these are too few")
		}
	}
}

// payloads compares each message of OTLP in the files, and returns how many there were, and spans in them.
func payloads(t *testing.T, files map[string][]byte) (compared [2]int) {
	t.Helper()
	in := newIntake(t)
	messages, beyond := 0, 0
	for name, body := range files {
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
			messages++
			want, ok := oracle(req)
			if !ok {
				beyond++ // it has something to repair, which protobuf does not
			}
			raw, err := proto.Marshal(req)
			if err != nil {
				t.Fatal(err)
			}
			for form, decode := range map[string]func(*decoder) error{
				"JSON":     func(d *decoder) error { return d.json(msg) },
				"protobuf": func(d *decoder) error { return d.proto(raw) },
			} {
				var d decoder
				d.begin(in)
				if err := decode(&d); err != nil {
					t.Errorf("%s as %s: %v", name, form, err)
				} else if diff := cmp.Diff(want, plainBatch(d.Batch)); ok && diff != "" {
					t.Errorf("%s as %s (-protobuf's reading +ours):\n%s", name, form, diff)
				}
				in.Abandon(&d.Fill)
			}
			if ok {
				compared[0]++
				compared[1] += len(want)
			}
		}
	}
	if beyond > messages/2 {
		t.Errorf("the oracle does not cover %d messages of %d", beyond, messages)
	}
	return compared
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
