package window

// How a shard keeps its cells: an open-addressing table, probed linearly, without gaps.

func (s *shard) make(cells int) {
	s.cells, s.dirty, s.telling = make([]cell, cells), make([]uint64, (cells+63)/64), make([]uint64, (cells+63)/64)
}

func set(bits []uint64, i int, on bool) {
	if on {
		bits[i/64] |= 1 << (i % 64)
	} else {
		bits[i/64] &^= 1 << (i % 64)
	}
}

func has(bits []uint64, i int) bool { return bits[i/64]>>(i%64)&1 == 1 }

// lookup returns the place of a key's cell, -1 where it has none.
func (s *shard) lookup(k Key) int {
	mask := uint64(len(s.cells) - 1)
	for i := k.Lo & mask; ; i = (i + 1) & mask {
		c := &s.cells[i]
		if c.length == 0 {
			return -1
		}
		if c.key == k {
			return int(i)
		}
	}
}

// place makes a cell for a new key, at its group's floor, and returns where; -1 where nothing gives way to it.
func (s *shard) place(h *Hit, start, now int64) int {
	if !s.room(now) && !s.evict(group{h.Tag, h.Length}, now) {
		return -1
	}
	i := s.insert(h.Key, now)
	s.cells[i] = cell{key: h.Key, start: start, length: h.Length, tag: h.Tag}
	if f := s.floors[group{h.Tag, h.Length}]; f != nil && f.start == start {
		s.cells[i].count = f.count
	}
	return i
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

// insert takes a free cell for a key that has none, to be filled by the caller, and returns where it is.
func (s *shard) insert(k Key, now int64) int {
	for range sweepPerInsert {
		s.sweepOne(now)
	}
	if (s.used+1)*4 > len(s.cells)*3 {
		s.resize(now)
	}
	s.used++
	return s.free(k)
}

// free is the first free place for a key.
func (s *shard) free(k Key) int {
	mask := uint64(len(s.cells) - 1)
	i := k.Lo & mask
	for s.cells[i].length != 0 {
		i = (i + 1) & mask
	}
	return int(i)
}

func (s *shard) sweepOne(now int64) {
	if s.cursor >= len(s.cells) {
		s.cursor = 0
	}
	s.cursor += s.drop(s.cursor, now)
}

// drop frees cell i if its window has ended and returns by how much to move on: 0 when another cell has taken its place.
func (s *shard) drop(i int, now int64) int {
	if s.cells[i].length == 0 || !s.cells[i].ended(now) || s.remove(i) {
		return 1
	}
	return 0
}

// remove frees cell i, and says whether it is free then: another may have taken its place. Probing needs no gaps, so the cells that
// follow are moved back over the free one where their own place allows it.
func (s *shard) remove(i int) (free bool) {
	mask := len(s.cells) - 1
	hole := i
	for j := (i + 1) & mask; s.cells[j].length != 0; j = (j + 1) & mask {
		home := int(s.cells[j].key.Lo) & mask
		if (j-home)&mask >= (j-hole)&mask { // its home lies at or before the hole
			s.cells[hole] = s.cells[j]
			set(s.dirty, hole, has(s.dirty, j))
			set(s.telling, hole, has(s.telling, j))
			hole = j
		}
	}
	s.cells[hole] = cell{}
	set(s.dirty, hole, false)
	set(s.telling, hole, false)
	s.used--
	return hole == i
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
	old, dirty, telling := s.cells, s.dirty, s.telling
	s.make(size)
	s.used, s.cursor, s.victim = live, 0, 0
	for i := range old {
		c := &old[i]
		if c.length == 0 || c.ended(now) {
			continue
		}
		j := s.free(c.key)
		s.cells[j] = *c
		set(s.dirty, j, has(dirty, i))
		set(s.telling, j, has(telling, i))
	}
}
