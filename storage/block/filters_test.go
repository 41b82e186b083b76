package block

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// TestFilters looks traces up over many small blocks: files that surely do not have them are
// not opened, with the filters of this process or those of one before; and without filters in
// memory the answers are the same.
func TestFilters(t *testing.T) {
	t.Parallel()
	const blocks = 40
	dir, cfg := t.TempDir(), DefaultConfig()
	id := func(n int) (id telemetry.TraceID) {
		binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15+1)
		return id
	}
	s := openTest(t, dir, cfg)
	for i := range blocks {
		b := telemetry.NewBatch()
		b.Received = baseTime
		b.Resources = append(b.Resources, telemetry.Resource{})
		b.Spans = append(b.Spans, telemetry.Span{TraceID: id(i), SpanID: telemetry.SpanID{1}, Start: baseTime})
		b.Requests = append(b.Requests, telemetry.Request{TraceID: id(i), SpanID: telemetry.SpanID{1}, Start: baseTime})
		consume(t, s, telemetry.Entry{Position: telemetry.Position(i + 1), Batch: b})
		seal(t, s)
	}
	ask := func(what string, most int) {
		t.Helper()
		s.files = newFileCache(disk.OS{}, 1000)
		if _, _, err := s.Trace(t.Context(), id(blocks)); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: a trace that was never stored: %v", what, err)
		}
		b, _, err := s.Trace(t.Context(), id(7))
		if err != nil || len(b.Spans) != 1 || len(b.Requests) != 1 {
			t.Errorf("%s: %v %v", what, b, err)
		}
		if n := s.files.order.Len(); n > most {
			t.Errorf("%s: %d files were opened, want %d at most", what, n, most)
		}
		if err := s.files.close(); err != nil {
			t.Error(err)
		}
	}
	few := 6 // the trace's two, and some in vain
	ask("as written", few)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir, cfg)
	ask("as read", few)
	s.mu.Lock()
	s.filterBytes = 64 // of the newest block alone
	s.trimFilters()
	newest, older := s.blocks[blocks-1].filters.of(spansFile).Load(), s.blocks[blocks-2].filters.of(spansFile).Load()
	s.mu.Unlock()
	if newest == nil || older != nil {
		t.Errorf("filters in memory: newest %v, the one before %v", newest != nil, older != nil)
	}
	ask("without filters", 2*blocks)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
