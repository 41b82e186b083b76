package block

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// floodBatch is a batch of spans, each with attributes of its own making.
func floodBatch(spans int, attrs func(b *telemetry.Batch, span int)) *telemetry.Batch {
	b := telemetry.NewBatch()
	b.Received = 1_790_000_000e9
	b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: b.InternString("junk")}})
	for i := range spans {
		at := uint32(len(b.Attrs))
		attrs(b, i)
		b.Spans = append(b.Spans, telemetry.Span{
			TraceID: telemetry.TraceID{1, byte(i >> 8), byte(i)}, SpanID: telemetry.SpanID{1, byte(i >> 8), byte(i)}, Start: b.Received, Duration: 1e6,
			Name: b.InternString("op"), Code: -1, Attrs: telemetry.Range{Start: at, Len: uint32(len(b.Attrs)) - at},
		})
	}
	return b
}

func text(b *telemetry.Batch, key, value string) telemetry.Attr {
	return telemetry.Attr{Key: b.InternString(key), Type: telemetry.AttrString, Value: uint64(b.InternString(value))}
}

// A hundred thousand keys, of which each comes once: memory stays within the head's limit, a block has no more columns than it
// may, and nothing of a span is lost.
func TestFloodOfAttributeKeys(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxHeadBytes = 4 << 20
	s := openTest(t, t.TempDir(), cfg)
	defer closeStore(t, s)
	first := func(b *telemetry.Batch, span int) {
		for k := range 100 {
			b.Attrs = append(b.Attrs, text(b, fmt.Sprintf("key-%d-%d", span, k), "v"))
		}
	}
	var most int64
	for n := range 10 {
		b := floodBatch(100, func(b *telemetry.Batch, span int) { first(b, 100*n+span) })
		for i := range b.Spans {
			b.Spans[i].TraceID[4] = byte(n)
		}
		consume(t, s, telemetry.Entry{Position: telemetry.Position(n + 1), Batch: b})
		most = max(most, s.Stats().HeadBytes)
	}
	seal(t, s)
	if most > 3*cfg.MaxHeadBytes || s.Stats().Blocks < 2 { // two heads, and a batch
		t.Errorf("the heads took %d bytes, %d blocks were written", most, s.Stats().Blocks)
	}
	got, _, err := s.Trace(t.Context(), telemetry.TraceID{1, 0, 7, 0, 3})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Spans) != 1 {
		t.Fatalf("%d spans", len(got.Spans))
	}
	want, have := map[string]string{}, map[string]string{}
	for k := range 100 {
		want[fmt.Sprintf("key-307-%d", k)] = "v"
	}
	for _, a := range got.AttrsOf(got.Spans[0].Attrs) {
		have[got.Str(a.Key)] = got.Str(a.String())
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Error(d)
	}
}

// Spans repeat a few long texts in attributes that have no column: held once, they are written with each span. The head is
// sealed before that is much.
func TestFloodOfRepeatedTexts(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxHeadBytes = 4 << 20
	s := openTest(t, t.TempDir(), cfg)
	defer closeStore(t, s)
	long := strings.Repeat("x", 4000)
	var most int64
	for n := range 20 {
		consume(t, s, telemetry.Entry{Position: telemetry.Position(n + 1), Batch: floodBatch(10, func(b *telemetry.Batch, span int) {
			for k := range 100 {
				b.Attrs = append(b.Attrs, text(b, fmt.Sprintf("key-%d", (k+100*span)%1000), long))
			}
		})})
		s.mu.Lock()
		most = max(most, s.head.written)
		s.mu.Unlock()
	}
	seal(t, s)
	if blocks := s.Stats().Blocks; blocks < 6 || most > maxWritten*cfg.MaxHeadBytes {
		t.Errorf("%d blocks of 80 MB of attributes; a head had %d bytes of them", blocks, most)
	}
}
