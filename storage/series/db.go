package series

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"
)

// blockRange is the time that the newest samples stay in memory and in the
// write-ahead log before they become a block.
const blockRange = 2 * time.Hour

// Sizes that keep an idle database under 10 MB of memory. Prometheus' own
// defaults are for millions of series.
const (
	stripes       = 1 << 10   // entries of the hash map of series; the map's locks are per entry
	writeBuffer   = 256 << 10 // of the head's chunk file
	walSegment    = 16 << 20
	chunkSegment  = 64 << 20
	replayThreads = 2
)

// staleShare is the part of the newest block's series that may have ended before these become a block of
// their own and leave memory, which is looked at once a minute.
const staleShare = 0.5

// A DB is the series store. All methods may be called at once from many
// goroutines.
type DB struct {
	tsdb  *tsdb.DB
	limit *limiter
	notes []note // of what was set aside, at this start and before; never changed

	mu  sync.Mutex // a leaf: SetRetention and Retention
	cfg Config
}

// Open opens the database in dir, which is made if absent, and replays its
// write-ahead log; a torn end is cut and logged. What is damaged is set aside and logged, see opener. The directory
// is locked while it is open. The database's own metrics (prometheus_tsdb_*) go to reg.
func Open(dir string, cfg Config, logger *slog.Logger, reg prometheus.Registerer) (*DB, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open series store: %w", err)
	}
	o := tsdb.DefaultOptions()
	o.RetentionDuration = cfg.RetentionAge.Milliseconds()
	o.MaxBytes = cfg.RetentionBytes
	o.MinBlockDuration = blockRange.Milliseconds()
	o.MaxBlockDuration = longestBlock(cfg.RetentionAge).Milliseconds()
	o.WALSegmentSize = walSegment
	o.WALCompression = compression.Snappy
	o.WALReplayConcurrency = replayThreads
	o.MaxBlockChunkSegmentSize = chunkSegment
	o.StripeSize = stripes
	o.HeadChunksWriteBufferSize = writeBuffer
	o.OutOfOrderTimeWindow = cfg.OutOfOrderWindow.Milliseconds()
	o.EnableExemplarStorage = cfg.MaxExemplars > 0
	o.MaxExemplars = cfg.MaxExemplars
	o.StaleSeriesCompactionThreshold = staleShare
	instants(o)
	own := prometheus.NewRegistry() // of the attempt that succeeds
	limit := &limiter{}
	opening := &opener{dir: dir, log: logger, now: time.Now, aside: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "binnacle_series_set_aside_total", Help: "Parts of the series store that could not be read when it was opened, and were set aside.",
	}), restored: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "binnacle_series_restored_total", Help: "Blocks of the series store whose description was damaged when they were opened, and was put right by their seal.",
	}), open: func() (*tsdb.DB, error) {
		own = prometheus.NewRegistry()
		limit = &limiter{most: cfg.MaxSeries, refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "binnacle_series_refused_total", Help: "Attempts to make a series while the newest block holds as many as it may.",
		})}
		limit.opening.Store(true)
		o.SeriesLifecycleCallback = limit
		return tsdb.Open(dir, logger, own, o, tsdb.NewDBStats())
	}}
	guardBlocks(o, opening)
	db, err := opening.run()
	if err != nil {
		return nil, fmt.Errorf("open series store %s: %w; if another process holds it, stop that one; if the disk is full or fails, see to it; otherwise "+
			"move the directory away: metrics older than the log are lost then, traces are not", dir, err)
	}
	limit.opening.Store(false)
	if err := registerAll(reg, own, opening.aside, opening.restored, limit.refused); err != nil {
		return nil, errors.Join(fmt.Errorf("open series store %s: %w", dir, err), db.Close())
	}
	notes, err := readNotes(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open series store %s: %w", dir, err), db.Close())
	}
	return &DB{tsdb: db, cfg: cfg, limit: limit, notes: notes}, nil
}

func registerAll(reg prometheus.Registerer, all ...prometheus.Collector) error {
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// longestBlock is at most a tenth of what is kept, so that retention goes in
// small steps, and at most 31 days, as Prometheus has it.
func longestBlock(retention time.Duration) time.Duration {
	const most = 31 * 24 * time.Hour
	if retention == 0 {
		return most
	}
	return max(blockRange, min(most, retention/10))
}

// AppenderV2 begins a batch of samples. Samples of one series must come with
// rising timestamps. Nothing is visible before Commit.
func (db *DB) AppenderV2(ctx context.Context) storage.AppenderV2 { return db.tsdb.AppenderV2(ctx) }

// Querier reads samples within [mint, maxt], Unix milliseconds. What it gives has an
// [Incomplete] among its warnings where some that were stored may be missing.
func (db *DB) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := db.tsdb.Querier(mint, maxt)
	if lacks := db.missing(mint, maxt); err == nil && lacks != nil {
		return incomplete{q, lacks}, nil
	}
	return q, err
}

// ChunkQuerier is Querier for encoded chunks, as remote read wants them.
func (db *DB) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	q, err := db.tsdb.ChunkQuerier(mint, maxt)
	if lacks := db.missing(mint, maxt); err == nil && lacks != nil {
		return incompleteChunks{q, lacks}, nil
	}
	return q, err
}

// ExemplarQuerier reads exemplars.
func (db *DB) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	return db.tsdb.ExemplarQuerier(ctx)
}

// Stats are figures of the newest block, the one in memory: the cardinality of
// metrics and labels.
func (db *DB) Stats(label string, limit int) *tsdb.Stats { return db.tsdb.Head().Stats(label, limit) }

// Newest is the time of the newest sample; zero where there is none.
func (db *DB) Newest() time.Time {
	newest := db.tsdb.Head().MaxTime()
	for _, b := range db.tsdb.BlockMetas() {
		newest = max(newest, b.MaxTime)
	}
	if newest <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(newest)
}

// BlockMetas describe the blocks on disk.
func (db *DB) BlockMetas() []tsdb.BlockMeta { return db.tsdb.BlockMetas() }

// Series is how many series the newest block holds.
func (db *DB) Series() uint64 { return db.tsdb.Head().NumSeries() }

// StartTime is the time of the oldest sample, Unix milliseconds.
func (db *DB) StartTime() (int64, error) { return db.tsdb.StartTime() }

// Retention is how long samples are kept at most, and how many bytes.
func (db *DB) Retention() (age time.Duration, bytes int64) {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.cfg.RetentionAge, db.cfg.RetentionBytes
}

// SetRetention changes both, which must be valid, see [Config.Validate]. What is too
// old or too much goes within minutes. How long blocks grow stays as it was when the
// database was opened.
func (db *DB) SetRetention(age time.Duration, bytes int64) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.cfg.RetentionAge, db.cfg.RetentionBytes = age, bytes
	// The database takes its whole configuration anew: what does not change is said again. It
	// fails only where the window for late samples is opened, or chunks are encoded otherwise.
	_ = db.tsdb.ApplyConfig(&config.Config{StorageConfig: config.StorageConfig{
		TSDBConfig: &config.TSDBConfig{
			OutOfOrderTimeWindow: db.cfg.OutOfOrderWindow.Milliseconds(),
			Retention:            &config.TSDBRetentionConfig{Time: model.Duration(age), Size: units.Base2Bytes(bytes)},

			StaleSeriesCompactionThreshold: staleShare,
		},
		ExemplarsConfig: &config.ExemplarsConfig{MaxExemplars: db.cfg.MaxExemplars},
	}})
}

// Close waits for compaction to end and releases the directory. Samples that
// were committed are on disk.
func (db *DB) Close() error {
	if err := db.tsdb.Close(); err != nil {
		return fmt.Errorf("close series store: %w", err)
	}
	return nil
}
