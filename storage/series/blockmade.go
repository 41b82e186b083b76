package series

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
)

// guardBlocks has the database seal each block that it makes, and name the block in each error of a question.
func guardBlocks(o *tsdb.Options, by *opener) {
	inner := o.NewCompactorFunc
	if inner == nil {
		inner = newCompactor
	}
	o.NewCompactorFunc = func(ctx context.Context, r prometheus.Registerer, l *slog.Logger, ranges []int64, pool chunkenc.Pool, o *tsdb.Options) (tsdb.Compactor, error) {
		c, err := inner(ctx, r, l, ranges, pool, o)
		return sealer{c, by}, err
	}
	o.BlockQuerierFunc = func(b tsdb.BlockReader, mint, maxt int64) (storage.Querier, error) {
		return tsdb.NewBlockQuerier(named(b), mint, maxt)
	}
	o.BlockChunkQuerierFunc = func(b tsdb.BlockReader, mint, maxt int64) (storage.ChunkQuerier, error) {
		return tsdb.NewBlockChunkQuerier(named(b), mint, maxt)
	}
}

// newCompactor is the database's own, as it would make it by itself with the options that Open sets.
func newCompactor(ctx context.Context, r prometheus.Registerer, l *slog.Logger, ranges []int64, pool chunkenc.Pool, o *tsdb.Options) (tsdb.Compactor, error) {
	return tsdb.NewLeveledCompactorWithOptions(ctx, r, l, ranges, pool, tsdb.LeveledCompactorOptions{
		MaxBlockChunkSegmentSize:    o.MaxBlockChunkSegmentSize,
		EnableOverlappingCompaction: o.EnableOverlappingCompaction,
	})
}

// A sealer seals the blocks that a compactor makes, before those that they are made of go.
type sealer struct {
	tsdb.Compactor
	by *opener
}

// Plan chooses what is made one. It goes by what the descriptions say at this moment, and a block is cut to the time that they say: so they are held against the seals
// first. It runs each minute, which puts right what was damaged since the start.
func (c sealer) Plan(dir string) ([]string, error) {
	paths, err := c.by.blockDirs()
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if _, err := c.by.restore(path); err != nil {
			c.by.log.Error("a block of the series store has been damaged since it was opened; the next start sets it aside", "block", path, "err", err)
		}
	}
	return c.Compactor.Plan(dir)
}

// Write makes a block of the samples in memory.
func (c sealer) Write(dest string, b tsdb.BlockReader, mint, maxt int64, base *tsdb.BlockMeta) ([]ulid.ULID, error) {
	ids, err := c.Compactor.Write(dest, b, mint, maxt, base)
	c.seal(dest, ids)
	return ids, err
}

// Compact makes one block of several.
func (c sealer) Compact(dest string, dirs []string, open []*tsdb.Block) ([]ulid.ULID, error) {
	ids, err := c.Compactor.Compact(dest, dirs, open)
	c.seal(dest, ids)
	return ids, err
}

// A block that cannot be sealed is as good as any other: the next start proves it by its index.
func (c sealer) seal(dest string, ids []ulid.ULID) {
	for _, id := range ids {
		dir := filepath.Join(dest, id.String())
		m, _, err := readMeta(dir)
		if err == nil {
			var s seal
			if s, err = newSeal(dir, m, true); err == nil {
				err = s.write(dir)
			}
		}
		if err != nil {
			c.by.log.Warn("a new block of the series store could not be sealed; the next start does it", "block", dir, "err", err)
		}
	}
}

// named has a block's readers say in their errors which block it is: the database's own say so in part. What is in memory is read as it is.
func named(b tsdb.BlockReader) tsdb.BlockReader {
	if block, is := b.(*tsdb.Block); is {
		return namedBlock{block}
	}
	return b
}

type namedBlock struct{ *tsdb.Block }

func (b namedBlock) Index() (tsdb.IndexReader, error) {
	r, err := b.Block.Index()
	return namedIndex{r, b.Dir()}, inBlock(b.Dir(), indexName, err)
}

func (b namedBlock) Chunks() (tsdb.ChunkReader, error) {
	r, err := b.Block.Chunks()
	return namedChunks{r, b.Dir()}, inBlock(b.Dir(), chunksName, err)
}

func inBlock(dir, file string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, storage.ErrNotFound) || errors.Is(err, tsdb.ErrClosing) {
		return err
	}
	return fmt.Errorf("%s cannot be read: %w; `binnacle verify` says what is damaged; without the block's directory questions are answered but for its time", filepath.Join(dir, file), err)
}

type namedChunks struct {
	tsdb.ChunkReader
	dir string
}

func (r namedChunks) ChunkOrIterable(m chunks.Meta) (chunkenc.Chunk, chunkenc.Iterable, error) {
	c, it, err := r.ChunkReader.ChunkOrIterable(m)
	return c, it, inBlock(r.dir, chunksName, err)
}

type namedIndex struct {
	tsdb.IndexReader
	dir string
}

func (r namedIndex) SortedLabelValues(ctx context.Context, label string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, error) {
	v, err := r.IndexReader.SortedLabelValues(ctx, label, hints, ms...)
	return v, inBlock(r.dir, indexName, err)
}

func (r namedIndex) LabelValues(ctx context.Context, label string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, error) {
	v, err := r.IndexReader.LabelValues(ctx, label, hints, ms...)
	return v, inBlock(r.dir, indexName, err)
}

func (r namedIndex) LabelNames(ctx context.Context, ms ...*labels.Matcher) ([]string, error) {
	v, err := r.IndexReader.LabelNames(ctx, ms...)
	return v, inBlock(r.dir, indexName, err)
}

func (r namedIndex) LabelNamesFor(ctx context.Context, p index.Postings) ([]string, error) {
	v, err := r.IndexReader.LabelNamesFor(ctx, p)
	return v, inBlock(r.dir, indexName, err)
}

func (r namedIndex) Postings(ctx context.Context, label string, values ...string) (index.Postings, error) {
	p, err := r.IndexReader.Postings(ctx, label, values...)
	return p, inBlock(r.dir, indexName, err)
}

func (r namedIndex) PostingsForLabelMatching(ctx context.Context, label string, match func(string) bool) index.Postings {
	return r.postings(r.IndexReader.PostingsForLabelMatching(ctx, label, match))
}

func (r namedIndex) PostingsForAllLabelValues(ctx context.Context, label string) index.Postings {
	return r.postings(r.IndexReader.PostingsForAllLabelValues(ctx, label))
}

func (r namedIndex) ShardedPostings(p index.Postings, shard, of uint64) index.Postings {
	return r.postings(r.IndexReader.ShardedPostings(p, shard, of))
}

// postings that failed say so at once: lists are read whole before the first is given.
func (r namedIndex) postings(p index.Postings) index.Postings {
	if err := p.Err(); err != nil {
		return index.ErrPostings(inBlock(r.dir, indexName, err))
	}
	return p
}

func (r namedIndex) Series(ref storage.SeriesRef, b *labels.ScratchBuilder, m *[]chunks.Meta) error {
	return inBlock(r.dir, indexName, r.IndexReader.Series(ref, b, m))
}
