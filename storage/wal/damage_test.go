package wal

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A place is where a record lies.
type place struct {
	segment  string
	from, to int64
}

// places finds where the records of a whole log lie.
func places(t testing.TB, dir string) map[telemetry.Position]place {
	t.Helper()
	all := map[telemetry.Position]place{}
	indexes, err := listSegments(disk.OS{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range indexes {
		b, err := os.ReadFile(segmentName(dir, i))
		if err != nil {
			t.Fatal(err)
		}
		s := newScanner(bytes.NewReader(b), int64(len(b)))
		for what := s.next(); what != foundEnd; what = s.next() {
			if what == foundDamage {
				t.Fatalf("a log that was just written is damaged: %+v", s.dmg)
			}
			all[s.last] = place{filepath.Base(segmentName(dir, i)), s.begin, s.end}
		}
	}
	return all
}

// writeLog writes a log of some records in some segments, and returns what they are.
func writeLog(t testing.TB, rt *rapid.T, dir string) (model []string) {
	size := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, 90<<10))
	for range rapid.IntRange(1, 4).Draw(rt, "segments") {
		l := open(t, dir, small(), 0)
		for range rapid.IntRange(0, 12).Draw(rt, "records") {
			body := fmt.Sprint(len(model), strings.Repeat("x", size.Draw(rt, "size")))
			model = append(model, fmt.Sprintf("%d:%s", l.put(t, body), body))
		}
		if err := l.Close(); err != nil {
			rt.Fatal(err)
		}
	}
	return model
}

// writeOldLog is writeLog in the format of version 1.
func writeOldLog(rt *rapid.T, dir string) (model []string) {
	size := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, 90<<10))
	for range rapid.IntRange(1, 4).Draw(rt, "segments") {
		wl, err := wlog.NewSize(slog.New(slog.DiscardHandler), nil, dir, 1<<20, compression.None)
		if err != nil {
			rt.Fatal(err)
		}
		for range rapid.IntRange(0, 12).Draw(rt, "records") {
			body := fmt.Sprint(len(model), strings.Repeat("x", size.Draw(rt, "size")))
			rec := make([]byte, headerBytes)
			rec[0] = byte(len(model) + 1)
			model = append(model, fmt.Sprintf("%d:%s", len(model)+1, body))
			if err := wl.Log(batchOf(body).AppendRecord(rec)); err != nil {
				rt.Fatal(err)
			}
		}
		if err := wl.Close(); err != nil {
			rt.Fatal(err)
		}
	}
	return model
}

// harm changes bytes of one segment, and says which.
func harm(rt *rapid.T, dir string, zeros bool) (segment string, from, to int64) {
	indexes, err := listSegments(disk.OS{}, dir)
	if err != nil {
		rt.Fatal(err)
	}
	name := segmentName(dir, rapid.SampledFrom(indexes).Draw(rt, "segment"))
	b, err := os.ReadFile(name)
	if err != nil {
		rt.Fatal(err)
	}
	if len(b) == 0 {
		return filepath.Base(name), 0, 0
	}
	was := bytes.Clone(b)
	at := rapid.IntRange(0, len(b)-1).Draw(rt, "at")
	how := rapid.IntRange(0, 2).Draw(rt, "how")
	if how == 1 && !zeros {
		how = 2
	}
	switch how {
	case 0:
		b[at] ^= byte(rapid.IntRange(1, 255).Draw(rt, "flip"))
	case 1:
		clear(b[at:min(len(b), at+rapid.IntRange(1, 80<<10).Draw(rt, "zeros"))])
	case 2:
		for i := at; i < min(len(b), at+rapid.IntRange(1, 5000).Draw(rt, "noise")); i++ {
			b[i] = byte(i*i>>3) ^ 0x21
		}
	}
	for from = 0; from < int64(len(b)) && b[from] == was[from]; from++ {
	}
	for to = int64(len(b)); to > from && b[to-1] == was[to-1]; to-- {
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		rt.Fatal(err)
	}
	return filepath.Base(name), from, to
}

// Whatever bytes of a log are damaged, each record that they are no part of is given once, in order, and nothing else is; what is
// missing is told; and what comes next gets positions that none of the lost had. So it is at the second start.
func TestDamageModel(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*rapid.T, string) []string{
		"sealed": func(rt *rapid.T, dir string) []string { return writeLog(t, rt, dir) },
		"old":    writeOldLog,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				dir, err := os.MkdirTemp(t.TempDir(), "") //nolint:usetesting // one of many of the test
				if err != nil {
					rt.Fatal(err)
				}
				model := write(rt, dir)
				at := places(t, dir)
				segment, from, to := harm(rt, dir, name == "sealed") // version 1 padded with zeros: at its end nothing tells them from lost records
				var want []string
				for i, m := range model {
					if p := at[telemetry.Position(i+1)]; p.segment != segment || p.to <= from || p.from >= to {
						want = append(want, m)
					}
				}
				lost := len(model) - len(want)
				l := open(t, dir, small(), 0)
				if d := cmp.Diff(want, l.rest(t, 0)); d != "" {
					rt.Fatalf("bytes %d to %d of %s were damaged (-want +got):\n%.2000s", from, to, segment, d)
				}
				told := l.Damage()
				if told.Missing+told.Uncertain < uint64(lost)-frontLoss(want, model) {
					rt.Fatalf("%d records were lost, and told was %+v", lost, told)
				}
				least := uint64(lost) - frontLoss(want, model)
				most := least
				if name == "old" {
					most = uint64(lost) // version 1 has no checksum over a frame's kind: half a record may pass for one, and tell its position though not its content
				}
				if len(want) > 0 && want[len(want)-1] == model[len(model)-1] && (told.Missing < least || told.Missing > most) {
					rt.Fatalf("%d records were lost, and told was %+v", lost, told)
				}
				if kept, _ := filepath.Glob(filepath.Join(dir, "*.damaged")); lost > 0 && len(kept) == 0 {
					rt.Fatal("nothing was kept aside")
				}
				p := l.put(t, "new")
				if p <= telemetry.Position(len(model)) {
					rt.Fatalf("position %d is given again; %d records were acknowledged", p, len(model))
				}
				_ = l.Close()
				want = append(want, fmt.Sprintf("%d:new", p))
				l = open(t, dir, small(), 0)
				if d := cmp.Diff(want, l.rest(t, 0)); d != "" {
					rt.Fatalf("second start (-want +got):\n%.2000s", d)
				}
				if p2 := l.put(t, "newer"); p2 != p+1 {
					rt.Fatalf("second start gives position %d after %d", p2, p)
				}
				_ = l.Close()
			})
		})
	}
}

// frontLoss is how many records before the first that is left are lost: of those it is not known that they were not cut.
func frontLoss(left, all []string) uint64 {
	for i, m := range all {
		if len(left) > 0 && left[0] == m {
			return uint64(i)
		}
	}
	return uint64(len(all))
}

// One flipped byte in the middle of the newest segment costs the record it is in, and is told by exact numbers.
func TestDamageIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, small(), 0)
	var want []string
	const n, bad = 400, 201
	for i := range n {
		body := strconv.Itoa(i)
		if p := l.put(t, body); p != bad {
			want = append(want, fmt.Sprintf("%d:%s", p, body))
		}
	}
	_ = l.Close()
	name := filepath.Join(dir, "00000000")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := places(t, dir)[bad]
	b[(at.from+at.to)/2] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	reg := prometheus.NewRegistry()
	o := &opened{released: map[*telemetry.Batch]int{}}
	o.Log, err = Open(dir, small(), 0, func(*telemetry.Batch) {}, slog.New(slog.NewTextHandler(&lines, nil)), reg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close() }()
	f := o.follow(t, "all", 0, essential())
	var got []string
	for e, ok, err := f.Next(); ok; e, ok, err = f.Next() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, told(e))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := o.Damage(); d != (Damage{Missing: 1, Bytes: at.to - at.from, Places: 1}) {
		t.Errorf("told is %+v, want one record of %d bytes", d, at.to-at.from)
	}
	if s := f.Status(); s.Lost != 1 || s.LeftOut.Records != 1 {
		t.Errorf("the follower tells %+v", s)
	}
	if !strings.Contains(lines.String(), "missing=1 after=200 next=202") {
		t.Errorf("the log says:\n%s", &lines)
	}
	kept, err := os.ReadFile(fmt.Sprintf("%s.%d.damaged", name, at.from))
	if err != nil || !bytes.Equal(kept, b[at.from:at.to]) {
		t.Errorf("kept aside are %d bytes, %v", len(kept), err)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader("# HELP binnacle_wal_missing_records Records that the log had and has lost, by their positions, as far as it is still kept.\n"+
		"# TYPE binnacle_wal_missing_records gauge\nbinnacle_wal_missing_records 1\n"), "binnacle_wal_missing_records"); err != nil {
		t.Error(err)
	}
}

// A segment that is gone from the front, or from the middle, is told; what is behind it is given.
func TestSegmentIsGone(t *testing.T) {
	t.Parallel()
	for _, gone := range []string{"00000000", "00000001"} {
		dir := t.TempDir()
		for range 3 {
			l := open(t, dir, small(), 0)
			l.put(t, "a")
			l.put(t, "b")
			_ = l.Close()
		}
		if err := os.Remove(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
		l := open(t, dir, small(), 0)
		f := l.follow(t, "all", 0, essential())
		n := 0
		for _, ok, err := f.Next(); ok; _, ok, err = f.Next() {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if s := f.Status(); n != 4 || s.Lost != 2 || s.Position != 6 {
			t.Errorf("without %s: %d records given, and told is %+v", gone, n, s)
		}
	}
}

// Damage that comes while the log is in use costs a follower that reads from disk the records that it is in, and neither the others nor the process.
func TestDamageWhileInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, small(), 0)
	const n = 20
	for i := range n {
		l.put(t, strconv.Itoa(i))
	}
	_ = l.Close()
	l = open(t, dir, small(), 0)
	f := l.follow(t, "late", 0, essential())
	at := places(t, dir)
	name := filepath.Join(dir, "00000000")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[at[5].from+3 : at[7].from+2])
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	l.put(t, "new")
	var got []telemetry.Position
	for {
		e, ok, err := f.Next()
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			got = append(got, e.Position)
		} else if f.Status().Position == n+1 {
			break
		}
	}
	if d := cmp.Diff([]telemetry.Position{1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}, got); d != "" {
		t.Error(d)
	}
	if s, d := f.Status(), l.Damage(); s.Lost != 3 || d.Missing != 3 || d.Places != 1 {
		t.Errorf("told is %+v by the follower, %+v by the log", s, d)
	}
}

// A record that makes no sense is passed within the same call: who catches up is not to take it for the log's end.
func TestSenselessRecordIsPassed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wl, err := wlog.NewSize(quiet(), nil, dir, 1<<20, compression.None)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 6 {
		rec := make([]byte, headerBytes)
		rec[0] = byte(i + 1)
		if i%3 == 0 {
			rec = append(rec, "no batch"...)
		} else {
			rec = batchOf("b").AppendRecord(rec)
			want = append(want, fmt.Sprintf("%d:b", i+1))
		}
		if err := wl.Log(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := wl.Close(); err != nil {
		t.Fatal(err)
	}
	l := open(t, dir, small(), 0)
	if d := cmp.Diff(want, l.rest(t, 0)); d != "" {
		t.Error(d)
	}
	if told := l.Damage(); told.Missing != 2 {
		t.Errorf("told is %+v", told)
	}
}
