package signal

import (
	"bytes"
	"fmt"
	"math"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: rate, error rate and latency quantiles of every edge and witness
// over the last 1 s, 10 s, 1 min and 5 min, updated some ten thousand times a
// second with no allocation, taken back when a half moves to another edge, and
// small enough that thousands of edges can have them.
//
// The form: a matrix. Columns are time slots: 11 of 100 ms, 11 of 1 s, 7 of
// 10 s, 11 of 30 s, each group a ring whose one slot is being filled, so that a
// window is covered whole by the others. Rows are counters: requests, errors,
// throttled, two for TLS, and one for each latency bucket that occurred in the
// last 5 min, 15 to 25 on most edges. Counting is four increments in each of two or
// three rows; taking back is the same with -1; merging is adding matrices; a
// window is the sum of its columns.
//
// Invariant: columns that lie ahead of the last tick seen are zero.
//
// Not chosen: rolling fine slots up into coarse ones when they close (half the
// writes, but taking back must then know what was rolled up when); a sketch with
// dense buckets for each slot (40 KB an edge instead of 3); decaying averages
// (they cannot be taken back, and a rate that was never measured is shown).

// Rows that are counters; a latency bucket's row follows them.
const (
	rowRequests = iota
	rowErrors
	rowThrottled
	rowSecured // requests of which it is known how the connection was secured
	rowMutual  // requests under mutual TLS
	counters
)

// A row's counters have 16 bits, which are enough but for what has two thousand requests a second in one bucket; what is beyond is in further rows of the same id.
type row [columns]uint16

const full = math.MaxUint16

// wide is what all rows of one id count.
type wide [columns]uint32

// Sums are what a window, or all time, counts.
type Sums struct {
	Requests, Errors, Throttled uint64
	Secured, Mutual             uint64
}

// Acc is the accumulator of one witness of one edge. The zero Acc is ready.
type Acc struct {
	total Sums
	last  int64  // the tick up to which columns are clear
	ids   []byte // ids[i] says what rows[i] counts; ids[0] is rowRequests. Without rows: cells, see cells.go
	rows  []row
}

// A Sample is one request as an accumulator counts it.
type Sample struct {
	Bucket  int // BucketOf its duration
	Outcome telemetry.Outcome
	TLS     telemetry.TLS
}

// add adds n to what counts the sample.
func (t *Sums) add(s Sample, n uint64) {
	t.Requests += n
	switch s.Outcome {
	case telemetry.OutcomeError:
		t.Errors += n
	case telemetry.OutcomeThrottled:
		t.Throttled += n
	default:
	}
	if s.TLS != telemetry.TLSUnknown {
		t.Secured += n
	}
	if s.TLS == telemetry.TLSMutual {
		t.Mutual += n
	}
}

// Total is what was counted since the beginning.
func (a *Acc) Total() Sums { return a.total }

// Add counts a sample at c, the present.
func (a *Acc) Add(c *Cursor, s Sample) {
	a.Advance(c.tick)
	a.add(s, c.col[:], 1)
}

// AddPast counts a sample at an earlier tick, as of now.
func (a *Acc) AddPast(now, tick *Cursor, s Sample) { a.past(now, tick, s, 1) }

// Remove takes back a sample that was counted at tick.
func (a *Acc) Remove(now, tick *Cursor, s Sample) { a.past(now, tick, s, -1) }

func (a *Acc) past(now, tick *Cursor, s Sample, sign int32) {
	a.Advance(now.tick)
	if a.last != now.tick {
		ahead := At(a.last)
		now = &ahead
	}
	var cols [Windows]uint8
	n := 0
	for i := range levels {
		if now.slot[i]-tick.slot[i] < levels[i].slots {
			cols[n] = tick.col[i]
			n++
		}
	}
	a.add(s, cols[:n], sign)
}

// add adds sign to the columns of every row that counts the sample.
func (a *Acc) add(s Sample, cols []uint8, sign int32) {
	if len(a.rows) == 0 && a.addCells(s, cols, sign) {
		return
	}
	n := uint64(int64(sign)) //nolint:gosec // two's complement: adding -1
	a.total.Requests += n
	a.bump(0, cols, sign)
	a.bump(a.row(byte(counters+s.Bucket)), cols, sign) //nolint:gosec // below 256
	switch s.Outcome {
	case telemetry.OutcomeError:
		a.total.Errors += n
		a.bump(a.row(rowErrors), cols, sign)
	case telemetry.OutcomeThrottled:
		a.total.Throttled += n
		a.bump(a.row(rowThrottled), cols, sign)
	default:
	}
	if s.TLS != telemetry.TLSUnknown {
		a.total.Secured += n
		a.bump(a.row(rowSecured), cols, sign)
		if s.TLS == telemetry.TLSMutual {
			a.total.Mutual += n
			a.bump(a.row(rowMutual), cols, sign)
		}
	}
}

// bump adds sign to some columns of a row.
func (a *Acc) bump(i int, cols []uint8, sign int32) {
	r := &a.rows[i]
	for _, c := range cols {
		switch {
		case sign > 0 && r[c] < full:
			r[c]++
		case sign > 0:
			a.pour(a.ids[i], c, 1)
			r = &a.rows[i]
		case r[c] > 0:
			r[c]--
		default:
			a.draw(a.ids[i], c)
		}
	}
}

// pour adds n to a column of the rows of an id.
func (a *Acc) pour(id byte, column uint8, n uint32) {
	for i, x := range a.ids {
		if x == id {
			some := min(n, full-uint32(a.rows[i][column]))
			a.rows[i][column] += uint16(some) //nolint:gosec // there is room
			n -= some
		}
	}
	for n > 0 {
		some := min(n, full)
		a.rows[a.newRow(id)][column] = uint16(some) //nolint:gosec // it fits
		n -= some
	}
}

// draw takes one from a column of the rows of an id.
func (a *Acc) draw(id byte, column uint8) {
	for i, x := range a.ids {
		if x == id && a.rows[i][column] > 0 {
			a.rows[i][column]--
			return
		}
	}
}

// row is the first of an id, which it makes if there is none.
func (a *Acc) row(id byte) int {
	if i := bytes.IndexByte(a.ids, id); i >= 0 {
		return i
	}
	return a.newRow(id)
}

func (a *Acc) newRow(id byte) int {
	if len(a.rows) == cap(a.rows) {
		a.rows = append(make([]row, 0, len(a.rows)+rowsGrow), a.rows...) // append would double them
	}
	a.ids = append(a.ids, id)
	a.rows = append(a.rows, row{})
	return len(a.rows) - 1
}

// rowsGrow is by how many rows their list grows.
const rowsGrow = 4

// Advance moves the present to tick: slots that fall out of their windows are
// emptied. A tick before the last is the last.
func (a *Acc) Advance(tick int64) {
	if tick <= a.last {
		return
	}
	switch {
	case len(a.rows) > 0:
		for i, l := range levels {
			from, to := a.last/l.width, tick/l.width
			if from == to {
				continue
			}
			if to-from > l.slots {
				from = to - l.slots
			}
			for slot := from + 1; slot <= to; slot++ {
				col := l.first + int(slot%l.slots)
				for r := range a.rows {
					a.rows[r][col] = 0
				}
			}
			if Window(i) == FiveMinutes {
				a.dropEmpty()
			}
		}
	case len(a.ids) > 0:
		a.advanceCells(tick)
	default:
	}
	a.last = tick
}

// dropEmpty gives up rows in which nothing is left; every window lies within
// the 5 min one.
func (a *Acc) dropEmpty() {
	for i := len(a.rows) - 1; i >= 0; i-- {
		if a.rows[i].sum(FiveMinutes) != 0 || a.rows[i] != (row{}) {
			continue
		}
		last := len(a.rows) - 1
		if i == 0 && last > 0 {
			continue // that of requests keeps its place until it is the last
		}
		a.ids[i], a.rows[i] = a.ids[last], a.rows[last]
		a.ids, a.rows = a.ids[:last], a.rows[:last]
	}
	a.fold(fewCells)
}

func (r *wide) sum(w Window) (n uint64) {
	l := levels[w]
	for _, v := range r[l.first : l.first+int(l.slots)] {
		n += uint64(v)
	}
	return n
}

func (r *row) sum(w Window) uint64 {
	var n uint64
	l := levels[w]
	for _, v := range r[l.first : l.first+int(l.slots)] {
		n += uint64(v)
	}
	return n
}

// Requests is how many requests window w holds. The caller has advanced a.
func (a *Acc) Requests(w Window) uint64 {
	if len(a.rows) == 0 {
		return a.cellSum(columnsOf(w))
	}
	n := a.rows[0].sum(w)
	for i := a.more(0); i > 0; i = a.more(i) {
		n += a.rows[i].sum(w)
	}
	return n
}

// more is the next row of requests after one, 0 if there is none.
func (a *Acc) more(after int) int {
	if i := bytes.IndexByte(a.ids[after+1:], rowRequests); i >= 0 {
		return after + 1 + i
	}
	return 0
}

// Sums is what window w counts. The caller has advanced a.
func (a *Acc) Sums(w Window) Sums {
	if len(a.rows) == 0 {
		return a.cellSums(columnsOf(w))
	}
	var s Sums
	for i, id := range a.ids {
		switch id {
		case rowRequests:
			s.Requests += a.rows[i].sum(w)
		case rowErrors:
			s.Errors += a.rows[i].sum(w)
		case rowThrottled:
			s.Throttled += a.rows[i].sum(w)
		case rowSecured:
			s.Secured += a.rows[i].sum(w)
		case rowMutual:
			s.Mutual += a.rows[i].sum(w)
		default:
		}
	}
	return s
}

// AddTo adds window w's durations to d. The caller has advanced a.
func (a *Acc) AddTo(d *Dist, w Window) {
	if len(a.rows) == 0 {
		set := columnsOf(w)
		for i := 0; i < len(a.ids); i += cellBytes {
			if id, c := a.ids[i], a.ids[i+1]; id >= counters && set>>cellColumn(c)&1 != 0 {
				d.add(int(id-counters), int64(cellRequests(c))) //nolint:gosec // at most four
			}
		}
		return
	}
	for i, id := range a.ids {
		if id < counters {
			continue
		}
		if n := int64(a.rows[i].sum(w)); n > 0 { //nolint:gosec // at most 11 * 2^32
			d.add(int(id-counters), n)
		}
	}
}

// Merge adds all that o counted to a.
func (a *Acc) Merge(o *Acc) {
	now := max(a.last, o.last)
	a.Advance(now)
	o.Advance(now)
	a.total.Requests += o.total.Requests
	a.total.Errors += o.total.Errors
	a.total.Throttled += o.total.Throttled
	a.total.Secured += o.total.Secured
	a.total.Mutual += o.total.Mutual
	if len(o.rows) == 0 {
		for i := 0; i < len(o.ids); i += cellBytes {
			a.put(o.ids[i], cellColumn(o.ids[i+1]), uint32(cellRequests(o.ids[i+1]))) //nolint:gosec // at most four
		}
		return
	}
	if len(a.rows) == 0 {
		a.spread()
	}
	for i, id := range o.ids {
		for c, n := range o.rows[i] {
			if n > 0 {
				a.pour(id, uint8(c), uint32(n)) //nolint:gosec // below 40
			}
		}
	}
}

// Check proves that the accumulator's counts add up: in each column the buckets' to the requests', of which errors, throttled and secured
// are some, and in no window more than of all time.
func (a *Acc) Check() error {
	if len(a.rows) == 0 {
		if len(a.ids) > cellBytes*mostCells || len(a.ids)%cellBytes != 0 {
			return fmt.Errorf("%d bytes of cells", len(a.ids))
		}
		rows := Acc{total: a.total, last: a.last, ids: a.ids}
		rows.spread()
		return rows.Check()
	}
	if a.ids[0] != rowRequests || len(a.ids) != len(a.rows) {
		return fmt.Errorf("%d rows count %v", len(a.rows), a.ids)
	}
	var requests, buckets, some wide
	for i, id := range a.ids {
		for c, v := range a.rows[i] {
			n := uint32(v)
			switch {
			case id == rowRequests:
				requests[c] += n
			case id >= counters:
				buckets[c] += n
			case id == rowErrors || id == rowThrottled:
				some[c] += n
			default:
			}
		}
	}
	if requests != buckets {
		return fmt.Errorf("the requests of a column are not those of its buckets: %v and %v", requests, buckets)
	}
	for c := range some {
		if some[c] > requests[c] {
			return fmt.Errorf("%d of %d requests failed or were throttled", some[c], requests[c])
		}
	}
	if n := requests.sum(FiveMinutes); n > a.total.Requests {
		return fmt.Errorf("%d requests in a window, %d of all time", n, a.total.Requests)
	}
	if a.total.Errors+a.total.Throttled > a.total.Requests || a.total.Mutual > a.total.Secured || a.total.Secured > a.total.Requests {
		return fmt.Errorf("the parts exceed the whole: %+v", a.total)
	}
	return nil
}
