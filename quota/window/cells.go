package window

// How a shard keeps its cells: an open-addressing table, probed linearly, without gaps.

func (s *shard) lookup(k Key) *cell {
	mask := uint64(len(s.cells) - 1)
	for i := k.Lo & mask; ; i = (i + 1) & mask {
		c := &s.cells[i]
		if c.length == 0 {
			return nil
		}
		if c.key == k {
			return c
		}
	}
}

// room says whether a new cell may be used, dropping ended ones where that is needed. Dropping looks at the whole shard, so it
// happens at most once a second: a second is the shortest window, and nothing more can have ended before.
func (s *shard) room(now int64) bool {
	if s.used < s.max {
		return true
	}
	if s.purged == now {
		return false
	}
	s.purged = now
	for i := 0; i < len(s.cells); {
		i += s.drop(i, now)
	}
	return s.used < s.max
}

func (s *shard) insert(h *Hit, start, now int64) *cell {
	for range sweepPerInsert {
		s.sweepOne(now)
	}
	if (s.used+1)*4 > len(s.cells)*3 {
		s.resize(now)
	}
	mask := uint64(len(s.cells) - 1)
	i := h.Key.Lo & mask
	for s.cells[i].length != 0 {
		i = (i + 1) & mask
	}
	s.cells[i] = cell{key: h.Key, start: start, length: h.Length, tag: h.Tag}
	s.used++
	return &s.cells[i]
}

// share returns the counter shared by the rule's keys, or nil where there are too many of those too.
func (s *shard) share(h *Hit, start, now int64) *cell {
	if c := s.shared[h.Rule]; c != nil { // ended, or find would have returned it
		c.begin(start)
		return c
	}
	if len(s.shared) >= maxShared {
		s.dropShared(now)
		if len(s.shared) >= maxShared {
			return nil
		}
	}
	if s.shared == nil {
		s.shared = make(map[Key]*cell)
	}
	c := &cell{key: h.Rule, start: start, length: h.Length, tag: h.Tag}
	s.shared[h.Rule] = c
	return c
}

func (s *shard) dropShared(now int64) {
	for k, c := range s.shared {
		if c.ended(now) {
			delete(s.shared, k)
		}
	}
}

func (s *shard) sweepOne(now int64) {
	if s.cursor >= len(s.cells) {
		s.cursor = 0
	}
	s.cursor += s.drop(s.cursor, now)
}

// drop frees cell i if its window has ended and returns by how much to move on: 0 when another cell has taken its place.
// Probing needs no gaps, so the cells that follow are moved back over the free one where their own place allows it.
func (s *shard) drop(i int, now int64) int {
	if s.cells[i].length == 0 || !s.cells[i].ended(now) {
		return 1
	}
	mask := len(s.cells) - 1
	hole := i
	for j := (i + 1) & mask; s.cells[j].length != 0; j = (j + 1) & mask {
		home := int(s.cells[j].key.Lo) & mask
		if (j-home)&mask >= (j-hole)&mask { // its home lies at or before the hole
			s.cells[hole] = s.cells[j]
			hole = j
		}
	}
	s.cells[hole] = cell{}
	s.used--
	if hole == i {
		return 1
	}
	return 0
}

// resize rebuilds the shard's table without ended cells, at twice the size that the live ones need.
func (s *shard) resize(now int64) {
	live := 0
	for i := range s.cells {
		if s.cells[i].length != 0 && !s.cells[i].ended(now) {
			live++
		}
	}
	size := minCells
	for size < (live+1)*2 {
		size *= 2
	}
	old := s.cells
	s.cells, s.used, s.cursor = make([]cell, size), live, 0
	mask := uint64(size - 1)
	for i := range old {
		c := &old[i]
		if c.length == 0 || c.ended(now) {
			continue
		}
		j := c.key.Lo & mask
		for s.cells[j].length != 0 {
			j = (j + 1) & mask
		}
		s.cells[j] = *c
	}
}
