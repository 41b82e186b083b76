package window

// sweepChunk is how many cells are looked at under one lock: some microseconds.
const sweepChunk = 512

// Sweep drops windows that have ended, looking at a part-th of every shard, and gives memory back where a shard has become
// nearly empty. Called once a second with part 16, each cell is seen every 16 s. A decision waits for at most one chunk of it,
// or for the rebuilding of one shard.
func (t *Table) Sweep(now int64, part int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		now := s.at(now)
		todo := len(s.cells)/part + 1
		for todo > 0 {
			for range min(todo, sweepChunk) {
				s.sweepOne(now)
			}
			todo -= sweepChunk
			s.mu.Unlock()
			s.mu.Lock()
		}
		s.dropFloors(now)
		if len(s.cells) > minCells && s.used*8 < len(s.cells) {
			s.resize(now)
		}
		s.mu.Unlock()
	}
}

// Peek returns the count of a key in the window that contains now, without counting.
func (t *Table) Peek(k Key, now int64) uint64 {
	s := t.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.lookup(k); i >= 0 && !s.cells[i].ended(now) {
		return s.cells[i].count
	}
	return 0
}

// Len returns how many keys have a counter of their own, ended windows that were not swept yet included, and how many floors there
// are.
func (t *Table) Len() (keys, floors int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		keys += s.used
		floors += len(s.floors)
		s.mu.Unlock()
	}
	return keys, floors
}

// Evicted returns how many keys have given way to others.
func (t *Table) Evicted() (n uint64) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += s.given
		s.mu.Unlock()
	}
	return n
}

// CountByTag adds to into[tag] the keys with a window that has not ended; tags beyond its length are left out. It reads every
// cell, a shard at a time: about 2 ms for a million.
func (t *Table) CountByTag(now int64, into []int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for j := range s.cells {
			c := &s.cells[j]
			if c.length != 0 && int(c.tag) < len(into) && !c.ended(now) {
				into[c.tag]++
			}
		}
		s.mu.Unlock()
	}
}
