package series

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

const (
	hour  = int64(time.Hour / time.Millisecond)
	dawn  = 1_790_000_000_000 / (6 * hour) * 6 * hour // where a block of six hours begins
	step  = 5 * int64(time.Minute/time.Millisecond)
	until = dawn + 11*hour + hour/2
	ended = dawn + 11*hour // when a series ends
)

// A telling is what a question must be answered with, by series: kept by the test itself while it writes.
type telling map[string][]string

// history is a store of blocks, and all that was ever told to it.
type history struct {
	dir    string
	series []labels.Labels
	told   map[string]map[int64]string // by series, by time
}

func newHistory(t *testing.T) *history {
	t.Helper()
	h := &history{dir: t.TempDir(), told: map[string]map[int64]string{}}
	for _, s := range []string{"a", "b", "c", "d", "ends"} {
		for _, name := range []string{"m", "took_seconds"} {
			if s == "ends" && name != "m" {
				continue
			}
			ls := labels.FromStrings(labels.MetricName, name, "s", s, "of", strings.Repeat(s, 3))
			h.series = append(h.series, ls)
			h.told[ls.String()] = map[int64]string{}
		}
	}
	return h
}

// write gives each series its samples of a time.
func (h *history) write(t *testing.T, db *DB, from, to int64) {
	t.Helper()
	for at := from; at < to; at += step {
		app := db.AppenderV2(t.Context())
		for i, ls := range h.series {
			var (
				v  = math.Sin(float64(at+int64(i))) * 1000
				hi *histogram.Histogram
			)
			switch {
			case ls.Get("s") == "ends" && at > ended:
				continue
			case ls.Get("s") == "ends" && at == ended:
				v = math.Float64frombits(value.StaleNaN)
			case ls.Get(labels.MetricName) == "took_seconds":
				n := (at - dawn) / step * int64(i)
				hi = &histogram.Histogram{
					Schema: 3, Count: uint64(n) + 1, Sum: float64(n), ZeroThreshold: 1e-9, ZeroCount: 1, //nolint:gosec // not negative
					PositiveSpans: []histogram.Span{{Offset: 2, Length: 1}}, PositiveBuckets: []int64{n},
				}
				v = 0
			}
			if _, err := app.Append(0, ls, 0, at, v, hi, nil, storage.AOptions{}); err != nil {
				t.Fatal(err)
			}
			h.told[ls.String()][at] = telltale(v, hi)
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

// blocksOfEachKind makes a store with a block of six hours that is compacted of three, one that samples were deleted from, one of two hours, one
// of a series that ended while others went on, and samples that are in no block yet.
func blocksOfEachKind(t *testing.T) *history {
	t.Helper()
	h := newHistory(t)
	db := open(t, h.dir, nil)
	h.write(t, db, dawn, until)
	if err := db.tsdb.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.tsdb.CompactStaleHead(); err != nil {
		t.Fatal(err)
	}
	from, to := dawn+6*hour+hour/2, dawn+7*hour
	if err := db.tsdb.Delete(t.Context(), from, to, labels.MustNewMatcher(labels.MatchEqual, "s", "b")); err != nil {
		t.Fatal(err)
	}
	for _, ls := range h.series {
		for at := range h.told[ls.String()] {
			if ls.Get("s") == "b" && at >= from && at <= to {
				delete(h.told[ls.String()], at)
			}
		}
	}
	levels, stones, stale := map[int]int{}, 0, 0
	for _, m := range db.BlockMetas() {
		levels[m.Compaction.Level]++
		stones += int(m.Stats.NumTombstones) //nolint:gosec // few
		if m.Compaction.FromStaleSeries() {
			stale++
		}
	}
	if levels[1] < 3 || levels[2] != 1 || stones == 0 || stale == 0 {
		t.Fatalf("the blocks are not of the kinds that are to be tried: levels %v, %d tombstones, %d of series that ended", levels, stones, stale)
	}
	closeDB(t, db)
	return h
}

func telltale(v float64, h *histogram.Histogram) string {
	if h == nil {
		return fmt.Sprintf("%016x", math.Float64bits(v))
	}
	return fmt.Sprintf("%d %g %v", h.Count, h.Sum, h.PositiveBuckets)
}

// want is the right answer.
func (h *history) want(q question) telling {
	out := telling{}
	for _, ls := range h.series {
		if !q.right(ls) {
			continue
		}
		if q.values != "" {
			out[q.values] = append(out[q.values], ls.Get(q.values))
			slices.Sort(out[q.values])
			out[q.values] = slices.Compact(out[q.values])
			continue
		}
		for at := dawn; at < until; at += step {
			if v, is := h.told[ls.String()][at]; is && at >= q.from && at <= q.to {
				out[ls.String()] = append(out[ls.String()], fmt.Sprintf("%d %s", at, v))
			}
		}
	}
	return out
}

// A question is asked of the store, and of what the test remembers.
type question struct {
	name     string
	from, to int64
	ask      func(ctx context.Context, db *DB, from, to int64) (telling, annotations.Annotations, error)
	right    func(ls labels.Labels) bool
	values   string // where it asks for a label's values: the label
}

func questions() (all []question) {
	is := labels.MustNewMatcher
	each := func(name string, from, to int64, right func(labels.Labels) bool, ms ...*labels.Matcher) {
		all = append(all,
			question{name + ", samples", from, to, func(ctx context.Context, db *DB, from, to int64) (telling, annotations.Annotations, error) {
				return samples(ctx, db, from, to, ms)
			}, right, ""},
			question{name + ", chunks", from, to, func(ctx context.Context, db *DB, from, to int64) (telling, annotations.Annotations, error) {
				return inChunks(ctx, db, from, to, ms)
			}, right, ""})
	}
	any := func(labels.Labels) bool { return true }
	each("all", dawn, until, any, is(labels.MatchRegexp, labels.MetricName, ".+"))
	each("some", dawn+5*hour, dawn+7*hour, func(ls labels.Labels) bool { return ls.Get("s") == "a" || ls.Get("s") == "c" }, is(labels.MatchRegexp, "s", "a|c"))
	each("but one", dawn, until, func(ls labels.Labels) bool { return ls.Get("s") != "b" && ls.Get(labels.MetricName) == "m" },
		is(labels.MatchNotEqual, "s", "b"), is(labels.MatchEqual, labels.MetricName, "m"))
	each("by another label", dawn, until, func(ls labels.Labels) bool { return ls.Get("of") == "ddd" }, is(labels.MatchEqual, "of", "ddd"))
	for label, ms := range map[string][]*labels.Matcher{"of": nil, "s": {is(labels.MatchEqual, labels.MetricName, "took_seconds")}} {
		all = append(all, question{"values of " + label, dawn, until, func(ctx context.Context, db *DB, from, to int64) (telling, annotations.Annotations, error) {
			q, err := db.Querier(from, to)
			if err != nil {
				return nil, nil, err
			}
			values, warnings, err := q.LabelValues(ctx, label, nil, slices.Clone(ms)...)
			return telling{label: values}, warnings, errors.Join(err, q.Close())
		}, func(ls labels.Labels) bool { return len(ms) == 0 || ls.Get(labels.MetricName) == "took_seconds" }, label})
	}
	for at := dawn; at < until; at += hour {
		each(fmt.Sprintf("hour %d", (at-dawn)/hour), at, at+hour-1, func(ls labels.Labels) bool { return ls.Get(labels.MetricName) == "m" }, is(labels.MatchEqual, labels.MetricName, "m"))
	}
	return all
}

func samples(ctx context.Context, db *DB, from, to int64, ms []*labels.Matcher) (telling, annotations.Annotations, error) {
	q, err := db.Querier(from, to)
	if err != nil {
		return nil, nil, err
	}
	out := telling{}
	set := q.Select(ctx, true, nil, slices.Clone(ms)...)
	for set.Next() {
		if err := tell(out, set.At().Labels(), set.At().Iterator(nil), from, to); err != nil {
			return nil, nil, errors.Join(err, q.Close())
		}
	}
	return out, set.Warnings(), errors.Join(set.Err(), q.Close())
}

// inChunks asks as remote read does: the chunks may have more than was asked for.
func inChunks(ctx context.Context, db *DB, from, to int64, ms []*labels.Matcher) (telling, annotations.Annotations, error) {
	q, err := db.ChunkQuerier(from, to)
	if err != nil {
		return nil, nil, err
	}
	out := telling{}
	set := q.Select(ctx, true, nil, slices.Clone(ms)...)
	var it chunks.Iterator
	for set.Next() {
		it = set.At().Iterator(it)
		for it.Next() {
			if err := tell(out, set.At().Labels(), it.At().Chunk.Iterator(nil), from, to); err != nil {
				return nil, nil, errors.Join(err, q.Close())
			}
		}
		if err := it.Err(); err != nil {
			return nil, nil, errors.Join(err, q.Close())
		}
	}
	return out, set.Warnings(), errors.Join(set.Err(), q.Close())
}

func tell(out telling, ls labels.Labels, it chunkenc.Iterator, from, to int64) error {
	name := ls.String()
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		var (
			at int64
			v  float64
			h  *histogram.Histogram
		)
		if kind == chunkenc.ValHistogram {
			at, h = it.AtHistogram(nil)
		} else {
			at, v = it.At()
		}
		if at >= from && at <= to {
			out[name] = append(out[name], fmt.Sprintf("%d %s", at, telltale(v, h)))
		}
	}
	return it.Err()
}
