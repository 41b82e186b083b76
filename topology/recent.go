package topology

import "slices"

// recent remembers numbers for a while, in rows that keep their latest few: memory is bounded, and a flood of numbers makes it shorter, and
// never larger. The graph remembers so what it refused (door.go), and what it was sent (repeat.go).
//
// It is state like any other: what it answers depends on the log alone, and on no order but that of time.
type recent struct {
	rows, width int   // how many rows, and sights a row
	keeps       int64 // for how many ticks a sight counts
	sights      []sight
}

// sight is a number, and the tick in which it came. The zero sight is none.
type sight struct {
	number uint64
	tick   int64
}

func newRecent(rows, width int, keeps int64) recent {
	return recent{rows: rows, width: width, keeps: keeps}
}

// note returns what is remembered of a number, and whether it had come before; if not, it has come at tick.
func (r *recent) note(number uint64, tick int64) (s *sight, known bool) {
	if r.sights == nil {
		r.sights = make([]sight, r.rows*r.width)
	}
	at := int(number%uint64(r.rows)) * r.width //nolint:gosec // below rows
	row := r.sights[at : at+r.width]
	least := &row[0]
	for i := range row {
		s := &row[i]
		if s.number == number && s.tick != 0 {
			if tick-s.tick < r.keeps {
				return s, true
			}
			least = s
			break
		}
		if s.before(least) {
			least = s
		}
	}
	*least = sight{number, tick}
	return least, false
}

func (s *sight) before(o *sight) bool {
	return s.tick < o.tick || s.tick == o.tick && s.number < o.number
}

func (r *recent) counts(s *sight, tick int64) bool { return s.tick != 0 && tick-s.tick < r.keeps }

// forget gives the memory back when nothing in it counts any more.
func (r *recent) forget(tick int64) {
	for i := range r.sights {
		if r.counts(&r.sights[i], tick) {
			return
		}
	}
	r.sights = nil
}

// list is what counts at tick, oldest first.
func (r *recent) list(tick int64) (all []sight) {
	for i := range r.sights {
		if s := &r.sights[i]; r.counts(s, tick) {
			all = append(all, *s)
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
