package window

import "math"

// Saved is a counter as it is kept over a restart: the count of a key, or of a shard's floor, in one window.
type Saved struct {
	Key    Key // of a key's
	Count  uint64
	Start  int64 // of the window, Unix seconds
	Length uint32
	Tag    uint32
	Floor  bool
	Shard  uint32 // of a floor's
}

// NoTag is the tag of counters whose rule is not known.
const NoTag = math.MaxUint32

// Shards is how many parts the table has.
func (t *Table) Shards() int { return len(t.shards) }

// Save appends the counters of one shard to into: those that changed since they were last saved, or with all every one in use. Windows
// shorter than shortest, and those that have ended, are left out; changed says that there is something to save all the same: the
// time, lest a clock that is set back open those windows again. Decisions of the shard wait meanwhile: at most some hundred
// microseconds.
//
// What is appended is then taken for saved; where it was not, Unsave.
func (t *Table) Save(shard int, all bool, shortest uint32, now int64, into []Saved) (saved []Saved, changed bool) {
	s := &t.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	for g, f := range s.floors {
		if (all || f.dirty) && g.length >= shortest && !f.ended(now, g.length) {
			into = append(into, Saved{Count: f.count, Start: f.start, Length: g.length, Tag: g.tag, Floor: true, Shard: uint32(shard)})
		}
		changed = changed || f.dirty
		f.dirty = false
	}
	for w, bits := range s.dirty {
		if bits == 0 && !all {
			continue
		}
		changed = changed || bits != 0
		s.dirty[w] = 0
		for i := w * 64; i < min(len(s.cells), w*64+64); i++ {
			c := &s.cells[i]
			if (all && c.count > 0 || bits>>(i%64)&1 == 1) && c.length >= max(1, shortest) && !c.ended(now) {
				into = append(into, Saved{Key: c.key, Count: c.count, Start: c.start, Length: c.length, Tag: c.tag})
			}
		}
	}
	return into, changed
}

// Unsave takes every counter for not saved.
func (t *Table) Unsave() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for w := range s.dirty {
			s.dirty[w] = math.MaxUint64
		}
		for _, f := range s.floors {
			f.dirty = true
		}
		s.mu.Unlock()
	}
}

// Restore takes in a counter that was saved; of two of one key the later one counts. now is the time of restoring: windows that have
// ended by then are left out. Where there are more than have room, some give way as they do to new keys.
func (t *Table) Restore(v *Saved, now int64) {
	if v.Length == 0 || now >= v.Start+int64(v.Length) {
		return
	}
	s := t.shard(v.Key)
	if v.Floor {
		s = &t.shards[uint64(v.Shard)&t.mask]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now = s.at(now)
	if v.Floor {
		if f := s.floor(group{v.Tag, v.Length}, v.Start, now); f != nil {
			f.raise(v.Count)
		}
		return
	}
	i := s.lookup(v.Key)
	if i < 0 {
		if !s.room(now) {
			s.evict(group{v.Tag, v.Length}, now) // where nothing gives way the table is larger than it should be, until windows end
		}
		i = s.insert(v.Key, now)
	}
	s.cells[i] = cell{key: v.Key, count: v.Count, start: v.Start, length: v.Length, tag: v.Tag}
	set(s.telling, i, v.Count > 1) // the limit is not known before the next hit
}

// Restored ends restoring. tagOf gives the tag of today to that of the saved counters, NoTag where there is none. It returns how many
// keys are in use.
//
// A count that was saved may be of before its key gave way and came again, and the floor knows of that: no key is below it.
func (t *Table) Restored(tagOf func(uint32) uint32) (keys int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for k := range s.cells {
			c := &s.cells[k]
			if c.length == 0 {
				continue
			}
			keys++
			if f := s.floors[group{c.tag, c.length}]; f != nil && f.start == c.start {
				c.count = max(c.count, f.count)
			}
			c.tag = tagOf(c.tag)
		}
		old := s.floors
		s.floors = nil
		for g, f := range old {
			g.tag = tagOf(g.tag)
			if same := s.floor(g, f.start, f.start); same != nil {
				same.raise(f.count)
			}
		}
		s.mu.Unlock()
	}
	return keys
}
