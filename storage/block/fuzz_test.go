package block

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
	"github.com/prometheus/client_golang/prometheus"
)

// FuzzBlock turns bytes of a block's files and asks the store everything: it must
// answer, and not panic, whatever it says.
func FuzzBlock(f *testing.F) {
	dir := f.TempDir()
	s := openTest(f, dir, DefaultConfig())
	e := newMesh(19).entry(60)
	b := e.Batch
	b.Requests = append(b.Requests, telemetry.Request{TraceID: b.Spans[0].TraceID, Method: b.InternString("GET")})
	b.Events = append(b.Events, telemetry.Event{Time: 1, Name: b.InternString("x")})
	b.Spans[0].Events = telemetry.Range{Len: 1}
	id := b.Spans[0].TraceID
	consume(f, s, e)
	seal(f, s)
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	block := filepath.Base(dirOf(f, dir))
	whole := map[string][]byte{}
	for _, name := range [...]string{spansFile, requestsFile} {
		b, err := os.ReadFile(filepath.Join(dir, block, name))
		if err != nil {
			f.Fatal(err)
		}
		whole[name] = b
	}
	size := uint(len(whole[spansFile]))
	f.Add(uint(0), []byte{0}, false)
	for at := uint(0); at < size; at += size / 20 { // from the end, where the footer is
		f.Add(at, []byte{0xff}, false)
		f.Add(at, []byte{1, 0x80, 0x80, 0x7f}, true)
	}
	log := slog.New(slog.DiscardHandler)
	// Or, so that each column is read of each row.
	everything := telemetry.SpanQuery{Filter: filter.Any(
		filter.All(textIs(filter.Status, "error"), lasts(filter.GreaterEqual, time.Nanosecond), attrIs("server.port", "9090")),
		textIs(filter.ParentID, "1"), textIs(filter.EventName, "y"), textIs(filter.Name, "z"), filter.Negate(filter.Exists(filter.Attribute(15, "k"))),
		filter.Compare(filter.TraceDuration.Field(), filter.Greater, filter.Elapsed(time.Hour)),
	)}
	f.Fuzz(func(t *testing.T, fromEnd uint, mask []byte, cut bool) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, block), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, b := range whole {
			b = append([]byte(nil), b...)
			at := len(b) - 1 - int(fromEnd%uint(len(b)))
			for i, m := range mask {
				if at+i < len(b) {
					b[at+i] ^= m
				}
			}
			if cut {
				b = append(b[:at], b[min(at+len(mask), len(b)):]...)
			}
			if err := os.WriteFile(filepath.Join(dir, block, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Open(dir, DefaultConfig(), log, prometheus.NewRegistry())
		if err != nil {
			return // a later format, for example
		}
		ctx := context.Background()
		_, _, _ = s.Trace(ctx, id)
		if _, _, err := s.Search(ctx, everything); err != nil {
			t.Error(err)
		}
		if _, _, err := s.Search(ctx, telemetry.SpanQuery{}); err != nil {
			t.Error(err)
		}
		if _, err := s.Services(ctx); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func dirOf(tb testing.TB, dir string) string {
	tb.Helper()
	blocks, err := filepath.Glob(filepath.Join(dir, "0*"))
	if err != nil || len(blocks) != 1 {
		tb.Fatalf("blocks %v, %v", blocks, err)
	}
	return blocks[0]
}

// FuzzJSON reads any bytes as attributes; it must not panic, nor read for ever.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"b":[1,{"c":"}"}],"$$x":{"$bytes":"AA=="}}`, `{"a":{"$double":"7ff8000000000001"}}`, `{"a":"\u00e4\"","b":-1.5e3,"c":true}`, `{"`, `{"a":`, `[`, `{"a":"\`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		r := &jsonReader{in: b}
		r.attrs(func([]byte, telemetry.AttrType, []byte, uint64) { n++ })
		if n > len(b) {
			t.Errorf("%d attributes out of %d bytes", n, len(b))
		}
	})
}
