//go:build failpoints

package series

import (
	"context"
	"log/slog"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/binnacle-mesh/binnacle/internal/failpoint"
)

// shortRange is blockRange of a server that is built to be killed: no such server lives for two hours.
const shortRange = 2000 // ms

// instants has blocks be cut every few seconds, and names the instants of it.
func instants(o *tsdb.Options) {
	o.MinBlockDuration = shortRange
	o.NewCompactorFunc = func(ctx context.Context, r prometheus.Registerer, l *slog.Logger, ranges []int64, pool chunkenc.Pool, o *tsdb.Options) (tsdb.Compactor, error) {
		c, err := tsdb.NewLeveledCompactorWithOptions(ctx, r, l, ranges, pool, tsdb.LeveledCompactorOptions{
			MaxBlockChunkSegmentSize:    o.MaxBlockChunkSegmentSize,
			EnableOverlappingCompaction: o.EnableOverlappingCompaction,
		})
		return compactor{c}, err
	}
}

// A compactor is the TSDB's own, with instants in it.
type compactor struct{ tsdb.Compactor }

// Write makes a block of the samples in memory.
func (c compactor) Write(dest string, b tsdb.BlockReader, mint, maxt int64, base *tsdb.BlockMeta) ([]ulid.ULID, error) {
	ids, err := c.Compactor.Write(dest, reader{b}, mint, maxt, base)
	failpoint.Here(failpoint.SeriesCut)
	return ids, err
}

// Compact makes one block of several.
func (c compactor) Compact(dest string, dirs []string, open []*tsdb.Block) ([]ulid.ULID, error) {
	ids, err := c.Compactor.Compact(dest, dirs, open)
	failpoint.Here(failpoint.SeriesCompacted)
	return ids, err
}

// A reader is what a block is made of. It is asked for its chunks once the block's folder is there.
type reader struct{ tsdb.BlockReader }

func (r reader) Chunks() (tsdb.ChunkReader, error) {
	failpoint.Here(failpoint.SeriesCutting)
	return r.BlockReader.Chunks()
}
