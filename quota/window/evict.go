package window

// Who gives way when a shard is full of live windows.
//
// Of some cells that lie side by side, which are as good as drawn by lot since keys are hashes, the rule that has most of them pays: a
// share per rule, without a count of each. If it has none that is nearly unused, the newcomer's own rule pays. The least used of the
// nearly unused gives way. What it had used becomes the least that a new key of its rule begins at, unless the floor is as high already:
// then nothing at all is lost.

// evictFrom is how many cells are looked at.
const evictFrom = 16

// evict makes room for a key of a group, and says whether it could.
func (s *shard) evict(newcomer group, now int64) bool {
	var seen [evictFrom]int
	n := 0
	for range min(len(s.cells), 4*evictFrom) {
		if s.victim >= len(s.cells) {
			s.victim = 0
		}
		if c := &s.cells[s.victim]; c.length != 0 {
			if c.ended(now) {
				s.remove(s.victim)
				return true
			}
			if c.start == Start(now, c.length) { // not while the clock is set back
				seen[n] = s.victim
				n++
			}
		}
		s.victim++
		if n == evictFrom {
			break
		}
	}
	i := s.least(seen[:n], newcomer)
	if i < 0 {
		return false
	}
	c := &s.cells[i]
	f := s.floor(c.group(), c.start, now)
	if f == nil {
		return false
	}
	f.raise(c.count)
	s.given++
	s.remove(i)
	return true
}

func (c *cell) group() group { return group{c.tag, c.length} }

// least returns which of the cells is to give way, -1 for none.
func (s *shard) least(seen []int, newcomer group) int {
	var largest group
	most := 0
	for _, i := range seen {
		n := 0
		for _, k := range seen {
			if s.cells[i].group() == s.cells[k].group() {
				n++
			}
		}
		if n > most {
			most, largest = n, s.cells[i].group()
		}
	}
	best := -1
	for _, of := range [...]group{largest, newcomer} {
		for _, i := range seen {
			if s.cells[i].group() == of && !has(s.telling, i) && (best < 0 || s.cells[i].count < s.cells[best].count) {
				best = i
			}
		}
		if best >= 0 {
			break
		}
	}
	return best
}

// floor returns the floor of a group in the window that begins at start; nil where there are too many.
func (s *shard) floor(g group, start, now int64) *floor {
	f := s.floors[g]
	switch {
	case f != nil && f.start == start:
		return f
	case f != nil:
		*f = floor{start: start}
		return f
	case len(s.floors) >= maxFloors:
		if s.dropFloors(now); len(s.floors) >= maxFloors {
			return nil
		}
	case s.floors == nil:
		s.floors = make(map[group]*floor)
	}
	f = &floor{start: start}
	s.floors[g] = f
	return f
}

func (f *floor) raise(to uint64) {
	if to > f.count {
		f.count, f.dirty = to, true
	}
}

// share counts a hit in its group's floor itself, for want of a cell: the floor is then what all such keys used together.
func (s *shard) share(h *Hit, start, now int64) Result {
	f := s.floor(group{h.Tag, h.Length}, start, now)
	if f == nil {
		return Result{Start: start, Over: !h.Refund, Full: true}
	}
	if h.Refund {
		// What one key gives back may have been used by another: a floor only rises.
		return Result{Before: f.count, After: f.count, Start: start, Shared: true}
	}
	c := cell{count: f.count, start: start}
	r := c.do(h)
	r.Shared = true
	f.raise(r.After)
	return r
}

func (s *shard) dropFloors(now int64) {
	for g, f := range s.floors {
		if f.ended(now, g.length) {
			delete(s.floors, g)
		}
	}
}
