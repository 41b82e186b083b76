package signal

import (
	"bytes"
	"fmt"

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

type row [columns]uint32

// Sums are what a window, or all time, counts.
type Sums struct {
	Requests, Errors, Throttled uint64
	Secured, Mutual             uint64
}

// Acc is the accumulator of one witness of one edge. The zero Acc is ready.
type Acc struct {
	total Sums
	last  int64  // the tick up to which columns are clear
	ids   []byte // ids[i] says what rows[i] counts; ids[0] is rowRequests
	rows  []row
}

// A Sample is one request as an accumulator counts it.
type Sample struct {
	Bucket  int // BucketOf its duration
	Outcome telemetry.Outcome
	TLS     telemetry.TLS
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
	n := uint64(int64(sign)) //nolint:gosec // two's complement: adding -1
	a.total.Requests += n
	if len(a.rows) == 0 {
		a.row(rowRequests)
	}
	a.rows[0].bump(cols, sign)
	a.row(byte(counters+s.Bucket)).bump(cols, sign) //nolint:gosec // below 256
	switch s.Outcome {
	case telemetry.OutcomeError:
		a.total.Errors += n
		a.row(rowErrors).bump(cols, sign)
	case telemetry.OutcomeThrottled:
		a.total.Throttled += n
		a.row(rowThrottled).bump(cols, sign)
	default:
	}
	if s.TLS != telemetry.TLSUnknown {
		a.total.Secured += n
		a.row(rowSecured).bump(cols, sign)
		if s.TLS == telemetry.TLSMutual {
			a.total.Mutual += n
			a.row(rowMutual).bump(cols, sign)
		}
	}
}

func (r *row) bump(cols []uint8, sign int32) {
	for _, c := range cols {
		r[c] += uint32(sign) //nolint:gosec // two's complement: adding -1
	}
}

func (a *Acc) row(id byte) *row {
	if i := bytes.IndexByte(a.ids, id); i >= 0 {
		return &a.rows[i]
	}
	if len(a.ids) == 0 && id != rowRequests {
		a.row(rowRequests) // keeps the first row's place
	}
	a.ids = append(a.ids, id)
	a.rows = append(a.rows, row{})
	return &a.rows[len(a.rows)-1]
}

// Advance moves the present to tick: slots that fall out of their windows are
// emptied. A tick before the last is the last.
func (a *Acc) Advance(tick int64) {
	if tick <= a.last {
		return
	}
	if len(a.rows) > 0 {
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
		if a.ids[i] == rowRequests && last > 0 {
			continue // it keeps its place until it is the last
		}
		a.ids[i], a.rows[i] = a.ids[last], a.rows[last]
		a.ids, a.rows = a.ids[:last], a.rows[:last]
	}
	if len(a.rows) == 0 {
		a.ids, a.rows = nil, nil
	}
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
		return 0
	}
	return a.rows[0].sum(w)
}

// Sums is what window w counts. The caller has advanced a.
func (a *Acc) Sums(w Window) Sums {
	var s Sums
	for i, id := range a.ids {
		switch id {
		case rowRequests:
			s.Requests = a.rows[i].sum(w)
		case rowErrors:
			s.Errors = a.rows[i].sum(w)
		case rowThrottled:
			s.Throttled = a.rows[i].sum(w)
		case rowSecured:
			s.Secured = a.rows[i].sum(w)
		case rowMutual:
			s.Mutual = a.rows[i].sum(w)
		default:
		}
	}
	return s
}

// AddTo adds window w's durations to d. The caller has advanced a.
func (a *Acc) AddTo(d *Dist, w Window) {
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
	for i, id := range o.ids {
		r := a.row(id)
		for c, n := range o.rows[i] {
			r[c] += n
		}
	}
}

// Check proves that the accumulator's counts add up: in each column the buckets' to the requests', of which errors, throttled and secured
// are some, and in no window more than of all time.
func (a *Acc) Check() error {
	var requests, buckets, some row
	for i, id := range a.ids {
		for c, n := range a.rows[i] {
			switch {
			case id == rowRequests:
				requests[c] = n
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
