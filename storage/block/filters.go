package block

import (
	"fmt"
	"sync/atomic"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go/bloom"
)

// The bloom filters over trace ids are kept in memory, one and a half bytes a trace:
// blocks come every two minutes even where little comes, so that a week has thousands, and a
// trace is asked for without a time. A lookup then opens those files alone that have the trace, and
// one in two hundred that has not.

// maxFilterBytes bounds the filters of all blocks. Past it the oldest blocks have none in
// memory, and theirs are read from their files.
const maxFilterBytes = 48 << 20

// filters are those of a block's two files; nil where there is none in memory. They are safe
// for concurrent use.
type filters struct {
	spans, requests atomic.Pointer[bloom.SplitBlockFilter]
}

// of is the filter of a file.
func (f *filters) of(name string) *atomic.Pointer[bloom.SplitBlockFilter] {
	if name == spansFile {
		return &f.spans
	}
	return &f.requests
}

// mayHold is false where the file of that name surely does not have the trace.
func (f *filters) mayHold(name string, id *telemetry.TraceID) bool {
	b := f.of(name).Load()
	return b == nil || b.Check(xxhash.Sum64(id[:]))
}

// readFilter reads an open file's filter, nil where it has none.
func (f *file) readFilter() (*bloom.SplitBlockFilter, error) {
	if f.bloom.size == 0 {
		return nil, nil
	}
	b := make([]byte, f.bloom.header+f.bloom.size)
	if _, err := f.f.ReadAt(b, f.bloom.offset-f.bloom.header); err != nil {
		return nil, err
	}
	if f.sums != nil && checksum(b) != f.sums.bloom {
		return nil, fmt.Errorf("bloom filter: %w", errChecksum)
	}
	out := bloom.MakeSplitBlockFilter(b[f.bloom.header:])
	return &out, nil
}

// trimFilters lets the filters of the oldest blocks go that are too many. The caller holds
// mu, or is Open.
func (s *Store) trimFilters() {
	left := s.filterBytes
	for i := len(s.blocks) - 1; i >= 0; i-- {
		for _, name := range [...]string{spansFile, requestsFile} {
			p := s.blocks[i].filters.of(name)
			if b := p.Load(); b != nil {
				if left -= len(b.Bytes()); left < 0 {
					p.Store(nil)
				}
			}
		}
	}
}
