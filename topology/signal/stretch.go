package signal

import (
	"math/bits"

	"github.com/binnacle-mesh/binnacle/telemetry/bucket"
)

// A Stretch is some whole seconds that are over, ten at most: those between two looks. What is counted in a second
// that is not over belongs to the next stretch.
type Stretch struct {
	first, n int64 // its seconds, counted from the epoch
	cols     [10]uint8
}

// Between is the stretch from the second of Unix nanoseconds before, which was not over then, to the last one that is over at now; the
// latest ten seconds where it would be longer.
func Between(before, now int64) Stretch {
	l := levels[TenSeconds]
	to := now / (l.width * Tick)
	s := Stretch{first: max(before/(l.width*Tick), to-int64(len(Stretch{}.cols)))}
	s.n = max(0, to-s.first)
	col := s.first % l.slots
	for i := range s.n {
		s.cols[i] = uint8(int64(l.first) + col) //nolint:gosec // below 40
		if col++; col == l.slots {
			col = 0
		}
	}
	return s
}

// Began is when the stretch began, in Unix nanoseconds.
func (s *Stretch) Began() int64 { return s.first * levels[TenSeconds].width * Tick }

// Taken is what was counted in a stretch. Slow and Slower took longer than a bucket each, Late and Later twice as long as that.
type Taken struct {
	Requests, Errors, Throttled, Slow, Slower, Late, Later uint64
}

// Add adds o to t.
func (t *Taken) Add(o *Taken) {
	t.Requests += o.Requests
	t.Errors += o.Errors
	t.Throttled += o.Throttled
	t.Slow += o.Slow
	t.Slower += o.Slower
	t.Late += o.Late
	t.Later += o.Later
}

// count counts so many of a bucket where they are slow.
func (t *Taken) count(b, slow, slower int, n uint64) {
	if b > slow {
		if t.Slow += n; b > slow+bucket.PerDoubling {
			t.Late += n
		}
	}
	if b > slower {
		if t.Slower += n; b > slower+bucket.PerDoubling {
			t.Later += n
		}
	}
}

// In is what the accumulator counted in a stretch, which has not moved on from it by more than a second. Slow is
// what is in buckets above slow, Slower what is in those above slower; Buckets and more: nothing. It need not have been advanced.
func (a *Acc) In(s *Stretch, slow, slower int) (t Taken) {
	l := levels[TenSeconds]
	n := min(s.n, a.last/l.width-s.first+1) // columns beyond its present are of another time
	if n <= 0 || len(a.ids) == 0 {
		return t
	}
	cols := s.cols[:n]
	if len(a.rows) == 0 {
		var set uint64
		for _, c := range cols {
			set |= 1 << c
		}
		return a.cellsIn(set, slow, slower)
	}
	for i, id := range a.ids {
		switch {
		case id >= counters:
			b := int(id - counters)
			if b <= slow && b <= slower {
				continue
			}
			v := a.rows[i].of(cols)
			t.count(b, slow, slower, v)
		case id == rowRequests:
			if t.Requests += a.rows[i].of(cols); t.Requests == 0 && a.more(i) == 0 {
				return Taken{} // it is the first, and the others count some of them
			}
		case id == rowErrors:
			t.Errors += a.rows[i].of(cols)
		case id == rowThrottled:
			t.Throttled += a.rows[i].of(cols)
		default:
		}
	}
	return t
}

func (r *row) of(cols []uint8) (n uint64) {
	for _, c := range cols {
		n += uint64(r[c])
	}
	return n
}

// Recent is how many requests it counted in the last ten seconds and in the last minute, as Requests says, in one go. The caller has advanced a.
func (a *Acc) Recent() (tenSeconds, minute uint64) {
	if len(a.rows) > 0 {
		return a.Requests(TenSeconds), a.Requests(Minute)
	}
	ten, sixty := columnsOf(TenSeconds), columnsOf(Minute)
	for i := 0; i < len(a.ids); i += cellBytes {
		if a.ids[i] < counters {
			continue
		}
		switch c := a.ids[i+1]; {
		case ten>>cellColumn(c)&1 != 0:
			tenSeconds += cellRequests(c)
		case sixty>>cellColumn(c)&1 != 0:
			minute += cellRequests(c)
		default:
		}
	}
	return tenSeconds, minute
}

// Lately is how many requests it counted in the five minutes before tick, about. It need not have been advanced.
func (a *Acc) Lately(tick int64) (n uint64) {
	if len(a.ids) == 0 {
		return 0
	}
	l := levels[FiveMinutes]
	last := a.last / l.width
	first := tick/l.width - l.slots + 1
	if last < first {
		return 0
	}
	col, some := first%l.slots, uint64(0)
	for range last - first + 1 {
		some |= 1 << (int64(l.first) + col)
		if col++; col == l.slots {
			col = 0
		}
	}
	if len(a.rows) == 0 {
		return a.cellSum(some)
	}
	for i := 0; ; {
		for of := some; of != 0; of &= of - 1 {
			n += uint64(a.rows[i][bits.TrailingZeros64(of)])
		}
		if i = a.more(i); i == 0 {
			return n
		}
	}
}
