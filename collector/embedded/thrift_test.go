package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	jaeger "github.com/jaegertracing/jaeger-idl/thrift-gen/jaeger"
)

func thriftBatch(t testing.TB) []byte {
	t.Helper()
	text := "a value"
	b, err := thrift.NewTSerializer().Write(context.Background(), &jaeger.Batch{
		Process: &jaeger.Process{ServiceName: "cart", Tags: []*jaeger.Tag{{Key: "k", VType: jaeger.TagType_STRING, VStr: &text}}},
		Spans: []*jaeger.Span{{
			TraceIdLow: 1, TraceIdHigh: 2, SpanId: 3, OperationName: "GET /cart", Flags: 1, StartTime: time.Now().UnixMicro(), Duration: 1000,
			Logs: []*jaeger.Log{{Timestamp: 1, Fields: []*jaeger.Tag{{Key: "k", VType: jaeger.TagType_STRING, VStr: &text}}}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What Jaeger's own encoder writes is sound, and no shorter part of it is.
func TestThriftSound(t *testing.T) {
	t.Parallel()
	b := thriftBatch(t)
	if err := thriftSound(b, thriftStruct); err != nil {
		t.Errorf("a batch: %v", err)
	}
	for n := range b {
		if thriftSound(b[:n], thriftStruct) == nil {
			t.Errorf("%d of %d bytes of a batch are taken", n, len(b))
		}
	}
	deep := bytes.Repeat([]byte{thriftStruct, 0, 1}, 100_000)
	if thriftSound(deep, thriftStruct) == nil {
		t.Error("a struct in a struct, 100,000 deep, is taken")
	}
}

// A few bytes that announce a hundred million spans are refused, and nothing is made for them.
func TestThriftBomb(t *testing.T) {
	p, user := ownPorts(t)
	w := start(t, user)
	defer w.stop(t)
	list := binary.BigEndian.AppendUint32([]byte{thriftStruct}, 100_000_000)
	batch := append([]byte{thriftList, 0, 2}, list...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if code := post(t, "http://"+p.thrift+"/api/traces", "application/x-thrift", append(batch, make([]byte, 100)...)); code != http.StatusBadRequest {
		t.Errorf("Jaeger: answered %d", code)
	}
	if code := post(t, "http://"+p.zipkin+"/api/v1/spans", "application/x-thrift", append(list, make([]byte, 100)...)); code != http.StatusBadRequest {
		t.Errorf("Zipkin: answered %d", code)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 100<<20 {
		t.Errorf("%d bytes were allocated for them", n)
	}
	if code := post(t, "http://"+p.thrift+"/api/traces", "application/x-thrift", thriftBatch(t)); code != http.StatusAccepted {
		t.Errorf("a batch is answered %d", code)
	}
	if got := w.log.take(); len(got) != 1 {
		t.Errorf("taken: %v", got)
	}
}

func FuzzThriftSound(f *testing.F) {
	f.Add(thriftBatch(f))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = thriftSound(b, thriftStruct)
		_ = thriftSound(b, thriftList)
	})
}
