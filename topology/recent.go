package topology

import "slices"

// recent remembers numbers for a while, in rows that keep their latest few: memory is bounded, and a flood of numbers makes it shorter, and
// never larger. The graph remembers so what it refused (door.go), and what it was sent (repeat.go).
//
// It is state like any other: what it answers depends on the log alone, and on no order but that of time.
type recent struct {
	rows, width int       // how many rows, and sights a row
	keeps       int64     // for how many ticks a sight counts
	list        [][]sight // by row; each is as long as it ever had to be
}

// sight is a number, and the tick in which it came.
type sight struct {
	number uint64
	tick   int64
}

func newRecent(rows, width int, keeps int64) recent {
	return recent{rows: rows, width: width, keeps: keeps}
}

// note returns what is remembered of a number, and whether it had come before; if not, it has come at tick.
func (r *recent) note(number uint64, tick int64) (s *sight, known bool) {
	if r.list == nil {
		r.list = make([][]sight, r.rows)
	}
	row := &r.list[number%uint64(r.rows)] //nolint:gosec // positive
	least := -1
	for i := range *row {
		s := &(*row)[i]
		if s.number == number {
			if tick-s.tick < r.keeps {
				return s, true
			}
			least = i
			break
		}
		if len(*row) == r.width && (least < 0 || s.before(&(*row)[least])) {
			least = i
		}
	}
	if least < 0 {
		least = len(*row)
		*row = append(*row, sight{})
	}
	s = &(*row)[least]
	*s = sight{number, tick}
	return s, false
}

func (s *sight) before(o *sight) bool {
	return s.tick < o.tick || s.tick == o.tick && s.number < o.number
}

func (r *recent) counts(s *sight, tick int64) bool { return tick-s.tick < r.keeps }

// forget gives the memory back when nothing in it counts any more.
func (r *recent) forget(tick int64) {
	for _, row := range r.list {
		for i := range row {
			if r.counts(&row[i], tick) {
				return
			}
		}
	}
	r.list = nil
}

// all is what counts at tick, oldest first.
func (r *recent) all(tick int64) (all []sight) {
	for _, row := range r.list {
		for i := range row {
			if s := &row[i]; r.counts(s, tick) {
				all = append(all, *s)
			}
		}
	}
	slices.SortFunc(all, func(a, b sight) int {
		if a.before(&b) {
			return -1
		}
		return 1
	})
	return all
}
