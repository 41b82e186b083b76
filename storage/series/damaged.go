package series

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// What is lost to a damaged file stays lost, so that it is said for as long as somebody may ask for it: beside what is set aside lies a note of why it was and of
// which time samples may be missing, at each start the notes are read, and an answer that reaches into such a time says so and names the file.

// notePrefix begins the names of notes.
const notePrefix = "about-"

// noteOf is where the note is on what was set aside at path.
func noteOf(path string) string {
	return filepath.Join(filepath.Dir(path), notePrefix+filepath.Base(path)+".json")
}

// A note says what was set aside, and what is missing for it.
type note struct {
	Reason string `json:"reason"`
	// From and To bound the times of the samples that are missing, in Unix milliseconds.
	From int64 `json:"from"`
	To   int64 `json:"to"`
	// Whole says that nothing is missing: what the file held is elsewhere too.
	Whole bool `json:"whole,omitempty"`

	file string // what was set aside, by its name in the database's directory
}

// write puts the note beside what was set aside at path, under a checksum: a time that is another would have answers lack something in silence.
func (n *note) write(path string) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if err := writeDurably(noteOf(path), summed(b)); err != nil {
		return fmt.Errorf("note what was set aside: %w", err)
	}
	return nil
}

// readNotes reads what was set aside, at this start and at earlier ones. Where there is no note, or none that can be read, samples of any time up
// to that of the file may be missing.
func readNotes(dir string) (notes []note, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), damagedPrefix) {
			continue
		}
		n := note{file: e.Name()}
		b, err := os.ReadFile(noteOf(filepath.Join(dir, e.Name())))
		b, whole := unsummed(b)
		if err == nil && whole {
			err = json.Unmarshal(b, &n)
		}
		if err != nil || !whole {
			n = note{file: e.Name(), Reason: "it was set aside at an earlier start", From: math.MinInt64, To: math.MaxInt64}
			if info, err := e.Info(); err == nil && !errors.Is(err, fs.ErrNotExist) {
				n.To = info.ModTime().Add(blockRange).UnixMilli()
			}
		}
		notes = append(notes, n)
	}
	return notes, nil
}

// An Incomplete is the warning of an answer that may lack what a file held.
type Incomplete struct{ telemetry.Damage }

func (w *Incomplete) Error() string {
	return fmt.Sprintf("this may be incomplete: a part of what is stored cannot be read: series/%s: %s", w.File, w.Reason)
}

// Unwrap makes it a warning to those who tell warnings from remarks.
func (w *Incomplete) Unwrap() error { return annotations.PromQLWarning }

// missing are the notes of what may be missing within [mint, maxt].
func (db *DB) missing(mint, maxt int64) (w annotations.Annotations) {
	for i := range db.notes {
		if n := &db.notes[i]; !n.Whole && n.From <= maxt && mint <= n.To {
			w.Add(&Incomplete{telemetry.Damage{File: n.file, Reason: n.Reason}})
		}
	}
	return w
}

// Damaged is what was set aside because it could not be read, and for which samples are missing that would still be kept now; by name.
func (db *DB) Damaged(now time.Time) []telemetry.Damage {
	var out []telemetry.Damage
	age, _ := db.Retention()
	for i := range db.notes {
		if n := &db.notes[i]; !n.Whole && (age == 0 || n.To >= now.Add(-age).UnixMilli()) {
			out = append(out, telemetry.Damage{File: n.file, Reason: n.Reason})
		}
	}
	slices.SortFunc(out, func(a, b telemetry.Damage) int { return strings.Compare(a.File, b.File) })
	return out
}

// An incomplete querier warns of what is missing.
type incomplete struct {
	storage.Querier
	lacks annotations.Annotations
}

func (q incomplete) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	return warned{q.Querier.Select(ctx, sorted, hints, ms...), q.lacks}
}

func (q incomplete) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	values, w, err := q.Querier.LabelValues(ctx, name, hints, ms...)
	return values, w.Merge(q.lacks), err
}

func (q incomplete) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	names, w, err := q.Querier.LabelNames(ctx, hints, ms...)
	return names, w.Merge(q.lacks), err
}

type warned struct {
	storage.SeriesSet
	lacks annotations.Annotations
}

func (s warned) Warnings() annotations.Annotations {
	w := s.SeriesSet.Warnings()
	return w.Merge(s.lacks)
}

// An incompleteChunks querier does so for encoded chunks.
type incompleteChunks struct {
	storage.ChunkQuerier
	lacks annotations.Annotations
}

func (q incompleteChunks) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.ChunkSeriesSet {
	return warnedChunks{q.ChunkQuerier.Select(ctx, sorted, hints, ms...), q.lacks}
}

type warnedChunks struct {
	storage.ChunkSeriesSet
	lacks annotations.Annotations
}

func (s warnedChunks) Warnings() annotations.Annotations {
	w := s.ChunkSeriesSet.Warnings()
	return w.Merge(s.lacks)
}
