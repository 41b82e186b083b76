package views

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/binnacle-mesh/binnacle/internal/ask"
)

// Several canonical series may have the same labels in a view, which drops some.
//
// The problem: their sum must behave as one counter. A sum of what each has at a
// moment does not: a series that begins, ends, or restarts from 0 moves the
// sum by its whole count, and rate() would take that for traffic, or for a reset
// of everything.
//
// The rule, within the range that is read: each series contributes its count
// with resets taken out; before its first sample what it has there; after its last,
// and after the mark of its end, what it had there. The sum then never falls, and rises by
// exactly what its series' increases are. It ends when all have ended.
//
// Where a view's labels have one series, it is shown as it is.

// columns are decoded samples: a row of width values for each time.
type columns struct {
	times []int64
	rows  []float64
	stale []bool // the row says that the series ended
	err   error

	// What they take is counted until they are put away and nobody reads them any more.
	held    atomic.Int64
	readers atomic.Int32
	away    atomic.Bool
}

// release gives back what the columns take.
func (c *columns) release(to *ask.Ask) { to.Give(c.held.Swap(0)) }

func (c *columns) row(i, width int) []float64 { return c.rows[i*width : (i+1)*width] }

// a reader turns one histogram into a row.
type reader struct {
	metric  *metric
	classic *classic // of buckets
}

func newReader(m *metric) *reader {
	r := &reader{metric: m}
	if m.value == bucketValue {
		r.classic = newClassic(m.bounds, m.scale)
	}
	return r
}

// width is how many series a group of the metric makes.
func (m *metric) width() int {
	if m.value == bucketValue {
		return len(m.bounds) + 1
	}
	return 1
}

func (r *reader) width() int { return r.metric.width() }

func (r *reader) read(row []float64, h *histogram.FloatHistogram) {
	switch r.metric.value {
	case countValue:
		row[0] = h.Count
	case sumValue:
		row[0] = h.Sum * r.metric.scale
	case bucketValue:
		r.classic.read(row, h)
	}
}

// decodedAtOnce is how many rows are decoded between two looks at what they take.
const decodedAtOnce = 1024

// decode reads all samples of a series.
func (r *reader) decode(s storage.Series, count *tally) *columns {
	c := &columns{}
	width := r.width()
	var h *histogram.FloatHistogram
	it := s.Iterator(nil)
	for {
		if len(c.times)%decodedAtOnce == 0 {
			n := int64(decodedAtOnce * (9 + 8*width))
			if c.err = count.rows(n); c.err != nil {
				return c
			}
			c.held.Add(n)
		}
		switch it.Next() {
		case chunkenc.ValNone:
			c.err = it.Err()
			return c
		case chunkenc.ValHistogram, chunkenc.ValFloatHistogram:
			var t int64
			t, h = it.AtFloatHistogram(h)
			c.times = append(c.times, t)
			c.stale = append(c.stale, value.IsStaleNaN(h.Sum))
			at := len(c.rows)
			c.rows = slices.Grow(c.rows, width)[:at+width]
			if c.stale[len(c.stale)-1] {
				clear(c.rows[at:])
			} else {
				r.read(c.rows[at:], h)
			}
		default:
			c.err = fmt.Errorf("series %s holds samples that are not histograms", s.Labels())
			return c
		}
	}
}

// decodeAll reads the sum of some series.
func (r *reader) decodeAll(series []storage.Series, count *tally) *columns {
	if len(series) == 1 {
		return r.decode(series[0], count)
	}
	width := r.width()
	parts := make([]*columns, len(series))
	defer func() {
		for _, p := range parts {
			if p != nil && p.err == nil {
				p.release(count.ask)
			}
		}
	}()
	var times []int64
	for i, s := range series {
		parts[i] = r.decode(s, count)
		if parts[i].err != nil {
			return parts[i]
		}
		parts[i].flatten(width)
		times = append(times, parts[i].times...)
	}
	slices.Sort(times)
	times = slices.Compact(times)
	sum := &columns{times: times}
	n := int64(len(times) * (9 + 8*width))
	if sum.err = count.rows(n); sum.err != nil {
		return sum
	}
	sum.held.Add(n)
	sum.rows, sum.stale = make([]float64, len(times)*width), make([]bool, len(times))
	at := make([]int, len(parts)) // how many samples of each part are not later than the time
	for i, t := range times {
		row := sum.row(i, width)
		alive := false
		for p := range parts {
			c := parts[p]
			for at[p] < len(c.times) && c.times[at[p]] <= t {
				at[p]++
			}
			if len(c.times) == 0 {
				continue
			}
			for k, v := range c.row(max(at[p]-1, 0), width) {
				row[k] += v
			}
			alive = alive || at[p] > 0 && !c.stale[at[p]-1]
		}
		sum.stale[i] = !alive
	}
	return sum
}

// flatten takes resets out, and gives rows that mark an end what was before.
func (c *columns) flatten(width int) {
	base := make([]float64, width) // what the lives before the last reset counted
	last := make([]float64, width) // the newest raw row
	for i := range c.times {
		row := c.row(i, width)
		if c.stale[i] {
			for k := range row {
				row[k] = base[k] + last[k]
			}
			continue
		}
		reset := false
		for k := range row {
			reset = reset || row[k] < last[k]
		}
		for k := range row {
			if reset {
				base[k] += last[k]
			}
			last[k] = row[k]
			row[k] += base[k]
		}
	}
	// A series whose range begins with the mark of an earlier end begins after it.
	for len(c.times) > 0 && c.stale[0] {
		c.times, c.stale, c.rows = c.times[1:], c.stale[1:], c.rows[width:]
	}
}

// A group is the canonical series that have the same labels in a view. It makes
// one series, or one a bucket, out of one decoding.
type group struct {
	metric  *metric
	derived labels.Labels // without name and le
	members []storage.Series
	cache   *cache
	count   *tally
	mu      sync.Mutex
	data    *columns
}

// cache bounds how many groups of a query are decoded at once: the engine reads
// series in order, so that those of one group are read one after another.
type cache struct {
	mu   sync.Mutex
	ring [4]*group
	next int
}

func (c *cache) hold(g *group) {
	c.mu.Lock()
	old := c.ring[c.next]
	c.ring[c.next] = g
	c.next = (c.next + 1) % len(c.ring)
	c.mu.Unlock()
	if old != nil && old != g {
		old.mu.Lock()
		if old.data != nil {
			old.data.away.Store(true)
			if old.data.readers.Load() == 0 {
				old.data.release(old.count.ask)
			}
		}
		old.data = nil
		old.mu.Unlock()
	}
}

// columns is the decoded samples, for one reader more.
func (g *group) columns() *columns {
	g.mu.Lock()
	data := g.data
	if data != nil {
		data.readers.Add(1)
		g.mu.Unlock()
		return data
	}
	data = newReader(g.metric).decodeAll(g.members, g.count)
	data.readers.Add(1)
	g.data = data
	g.mu.Unlock()
	g.cache.hold(g)
	return data
}

// derived is one series of a group: column k of it.
type derived struct {
	labels labels.Labels
	group  *group
	column int
}

func (d *derived) Labels() labels.Labels { return d.labels }

// Iterator walks the series' samples. Whoever hands over an iterator is done with it.
func (d *derived) Iterator(done chunkenc.Iterator) chunkenc.Iterator {
	if old, ok := done.(*iterator); ok {
		old.close()
	}
	data := d.group.columns()
	c := &column{c: data, width: d.group.metric.width(), at: d.column}
	return &iterator{Iterator: storage.NewListSeriesIterator(c), columns: data, ask: d.group.count.ask}
}

// iterator walks a column, and tells the error that ended its decoding.
type iterator struct {
	chunkenc.Iterator
	columns *columns
	ask     *ask.Ask
}

func (it *iterator) Err() error { return it.columns.err }

// close ends the reading.
func (it *iterator) close() {
	if it.columns.readers.Add(-1) == 0 && it.columns.away.Load() {
		it.columns.release(it.ask)
	}
}

// column is one column as a list of samples. It has one cursor, so that a sample
// costs no allocation.
type column struct {
	c         *columns
	width, at int
	cursor    sample
}

func (c *column) Len() int { return len(c.c.times) }

func (c *column) Get(i int) chunks.Sample {
	c.cursor = sample{t: c.c.times[i], v: c.c.rows[i*c.width+c.at]}
	if c.c.stale[i] {
		c.cursor.v = math.Float64frombits(value.StaleNaN)
	}
	return &c.cursor
}

// sample is a float at a time.
type sample struct {
	t int64
	v float64
}

func (s *sample) T() int64                      { return s.t }
func (s *sample) ST() int64                     { return 0 }
func (s *sample) F() float64                    { return s.v }
func (s *sample) H() *histogram.Histogram       { return nil }
func (s *sample) FH() *histogram.FloatHistogram { return nil }
func (s *sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s *sample) Copy() chunks.Sample           { c := *s; return &c }
