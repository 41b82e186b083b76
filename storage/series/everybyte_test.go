package series

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// everyByte is the environment variable under which every byte is tried, and not only some of them.
const everyByte = "BINNACLE_EVERY_BYTE"

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

// A harm is what is done to a file.
type harm struct {
	file     string // below the store's directory
	how      string
	to       func([]byte) []byte
	unsealed bool // the blocks are those of an older server, without seals
}

// harms are all that is done to a file's bytes: each one changed, or of few by chance; the file cut; 512 bytes of zeros.
func harms(t *testing.T, h *history, file string, few int, r *rand.Rand) (all []harm) {
	t.Helper()
	whole, err := os.ReadFile(filepath.Join(h.dir, file))
	if err != nil {
		t.Fatal(err)
	}
	size := len(whole)
	flip := func(at int, with byte) {
		all = append(all, harm{file: file, how: fmt.Sprintf("byte %d of %d ^ %#x", at, size, with), to: func(b []byte) []byte { b[at] ^= with; return b }})
	}
	if os.Getenv(everyByte) != "" {
		for at, is := range whole {
			flip(at, 1<<(at%8))
			flip(at, byte(1+r.IntN(255)))
			if filepath.Base(file) != metaName || is < '0' || is > '9' {
				continue
			}
			for digit := byte('0'); digit <= '9'; digit++ {
				if digit != is {
					flip(at, is^digit)
				}
			}
		}
	} else {
		for range few {
			flip(r.IntN(size), 1<<r.IntN(8))
			flip(r.IntN(size), byte(1+r.IntN(7)))
		}
		flip(4, 3) // the version
	}
	for _, to := range []int{0, size - 1, r.IntN(size)} {
		all = append(all, harm{file: file, how: fmt.Sprintf("cut to %d of %d", to, size), to: func(b []byte) []byte { return b[:to] }})
	}
	for at := 0; at < size; at += 512 {
		if os.Getenv(everyByte) == "" && r.IntN(4) > 0 {
			continue
		}
		all = append(all, harm{file: file, how: fmt.Sprintf("zeros from %d of %d", at, size), to: func(b []byte) []byte { clear(b[at:min(at+512, size)]); return b }})
	}
	return all
}

// blockName is what a block's folder is called.
var blockName = regexp.MustCompile(`[0-9A-Z]{26}`)

// Whatever byte of a block is changed, however a file of it is cut or overwritten: each question is answered rightly, or refused with the block's name, or
// the block is set aside by its name when the store is opened: then its samples alone are missing, and each answer that lacks some has a warning that names it. Verify finds each.
func TestEveryByteOfASeriesBlock(t *testing.T) {
	t.Parallel()
	h := blocksOfEachKind(t)
	asked := questions()
	want := make([]telling, len(asked))
	for i, q := range asked {
		want[i] = h.want(q)
	}
	files, err := filepath.Glob(filepath.Join(h.dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := filepath.Glob(filepath.Join(h.dir, "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's chance
	const older = "meta.json of an older server"
	byKind := map[string][]harm{"whole": {{how: "nothing"}}, older: {{how: "nothing", unsealed: true}}}
	few := map[string]int{metaName: 6, sealName: 2, "index": 4, "chunks": 3, "tombstones": 1}
	for _, file := range append(files, inner...) {
		st, err := os.Stat(file)
		name, relErr := filepath.Rel(h.dir, file)
		if err != nil || relErr != nil {
			t.Fatal(err, relErr)
		}
		if st.IsDir() || !blockName.MatchString(name) {
			continue
		}
		kind := filepath.Base(file)
		if filepath.Base(filepath.Dir(file)) == "chunks" {
			kind = "chunks"
		}
		byKind[kind] = append(byKind[kind], harms(t, h, name, few[kind], r)...)
		if kind == metaName {
			for _, d := range harms(t, h, name, 3, r) {
				d.unsealed = true
				byKind[older] = append(byKind[older], d)
			}
		}
	}
	for kind, all := range byKind {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			outcomes := map[string]int{}
			for i, harm := range all {
				dir := filepath.Join(root, strconv.Itoa(i))
				if err := os.CopyFS(dir, os.DirFS(h.dir)); err != nil {
					t.Fatal(err)
				}
				harm.inflict(t, dir)
				outcome, err := h.tried(t.Context(), dir, harm, asked, want)
				if err != nil {
					t.Errorf("%s, %s: %v", harm.file, harm.how, err)
				}
				outcomes[outcome]++
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("of %d harms: %v", len(all), outcomes)
		})
	}
}

func (d harm) inflict(t *testing.T, dir string) {
	t.Helper()
	if d.unsealed {
		seals, err := filepath.Glob(filepath.Join(dir, "*", sealName))
		if err != nil || len(seals) == 0 {
			t.Fatal(seals, err)
		}
		for _, path := range seals {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	if d.file == "" {
		return
	}
	path := filepath.Join(dir, d.file)
	b, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, d.to(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tried opens a store that is harmed, asks it, and says what came of it. The error is of an answer that is wrong, or of a lack that nobody is told of.
func (h *history) tried(ctx context.Context, dir string, d harm, asked []question, want []telling) (outcome string, err error) {
	block := blockName.FindString(d.file)
	report, err := Verify(ctx, dir)
	if err != nil {
		return "", err
	}
	switch found := slices.ContainsFunc(report.Problems, func(p Problem) bool { return strings.Contains(p.File, block) }); {
	case d.file == "" && len(report.Problems) > 0:
		return "", fmt.Errorf("of a sound store verify says %v", report.Problems)
	case d.file != "" && !found && !d.unsealed && !h.saysTheSame(dir, d.file):
		return "", fmt.Errorf("verify does not find it: %v", report.Problems)
	}
	var log bytes.Buffer
	reg := prometheus.NewRegistry()
	cfg := DefaultConfig()
	cfg.MaxExemplars = 0 // of which none are told
	db, err := Open(dir, cfg, slog.New(slog.NewTextHandler(&log, nil)), reg)
	if err != nil {
		return "", fmt.Errorf("the store does not open: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	aside, err := filepath.Glob(filepath.Join(dir, damagedPrefix+"*"))
	if err != nil {
		return "", err
	}
	outcome = "right"
	if len(aside) > 0 {
		if filepath.Base(aside[0]) != damagedPrefix+block || len(aside) > 1 || !strings.Contains(log.String(), block) {
			return "", fmt.Errorf("set aside is %v, and told:\n%s", aside, log.String())
		}
		outcome = "set aside"
	}
	unwarned := 0
	for i, q := range asked {
		got, warnings, err := q.ask(ctx, db, q.from, q.to)
		warned := block != "" && strings.Contains(fmt.Sprint(warnings.AsErrors()), block)
		if !warned {
			unwarned++
		}
		switch {
		case err != nil && block != "" && strings.Contains(err.Error(), block):
			outcome = "refused"
		case err != nil:
			return "", fmt.Errorf("%s is refused, and the block is not named: %w", q.name, err)
		case warned && len(aside) > 0:
			if err := subset(got, want[i]); err != nil {
				return "", fmt.Errorf("%s, with the block set aside: %w", q.name, err)
			}
		case warned || len(warnings) > 0:
			return "", fmt.Errorf("%s is answered with a warning: %v", q.name, warnings.AsErrors())
		case !maps.EqualFunc(want[i], got, slices.Equal):
			return "", fmt.Errorf("%s is answered wrongly, and no warning names the block (-want +got):\n%.1500s\n%s", q.name, cmp.Diff(want[i], got), log.String())
		}
	}
	if unwarned == 0 {
		return "", errors.New("there are warnings of times that the block has nothing of")
	}
	switch {
	case outcome != "right" && filepath.Base(d.file) == metaName && !d.unsealed, outcome != "right" && filepath.Base(d.file) == sealName:
		return "", fmt.Errorf("%s, and nothing need be lost for this file:\n%s", outcome, log.String())
	case outcome == "right" && filepath.Base(d.file) != indexName && filepath.Base(filepath.Dir(d.file)) != chunksName: // it is mended, too
		if report, err := Verify(ctx, dir); err != nil || len(report.Problems) > 0 && !d.unsealed {
			return "", fmt.Errorf("after a start verify says %v, %w", report.Problems, err)
		}
	}
	return outcome, nil
}

// saysTheSame is of a description in which a space is another, or a letter of a field's name is large: it is read as it was.
func (h *history) saysTheSame(dir, file string) bool {
	if filepath.Base(file) != metaName {
		return false
	}
	was, _, err := readMeta(filepath.Join(h.dir, filepath.Dir(file)))
	is, _, errIs := readMeta(filepath.Join(dir, filepath.Dir(file)))
	return err == nil && errIs == nil && equal(was, is)
}

// subset says what an answer has that is not in the right one.
func subset(got, of telling) error {
	for name, all := range got {
		for _, s := range all {
			if !slices.Contains(of[name], s) {
				return fmt.Errorf("%s has %s", name, s)
			}
		}
	}
	return nil
}
