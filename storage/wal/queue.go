package wal

// A queue is the records that wait for the committer.
//
// The problem: whoever sends much fills the queue with megabytes, which take the disk, and the followers that hold the committer back, a
// quarter of a second. A group of all that waits makes everybody wait for all of it, and who comes next for all of it again.
//
// The rule: a group is what the followers have room for, within bounds: those who have waited longest, and of the others those that
// are small, up to as much again. So a small record waits for the group that is under way and for its own, whatever else waits;
// a large one waits its turn, and half of each group is for those whose turn it is.
//
// An essential follower that stands still for a while, as one does that meets thousands of names for the first time, holds back whatever would
// put it further behind, but for what is tiny: that costs it nothing that anybody sees.
//
// Not chosen: the smallest first, with which a large one may wait for ever; a share for each sender, which needs a list that senders fill.
type queue struct {
	entries []*entry
	bytes   int64 // of their records
}

const (
	// leastGroup is what a group may have where the followers have no room: what the graph takes in some hundredths of a second.
	leastGroup = 512 << 10
	// mostGroup is what a group may have where they have much: so much that a disk whose syncs take long is still written to at its speed.
	mostGroup = 4 << 20
	// smallRecord is the longest record that overtakes longer ones: some hundreds of spans.
	smallRecord = 32 << 10
	// tinyRecord is the longest record that goes on while the followers are held: some tens of spans. A proxy's or an SDK's usual batch
	// is longer, so that a flood of these is held.
	tinyRecord = 8 << 10
	// tinyAhead is by how much more a follower may be behind by such records: as much as what holds the others.
	tinyAhead = 2 << 20
)

func (q *queue) put(e *entry) {
	q.entries = append(q.entries, e)
	q.bytes += int64(len(e.rec))
}

// take appends the next group to into, at least one record where any waits, in the order in which they came. room is how many bytes
// the followers have room for.
func (q *queue) take(into []*entry, room int64) []*entry {
	turn := min(max(room, leastGroup), mostGroup)
	small := turn
	kept := q.entries[:0]
	for _, e := range q.entries {
		n := int64(len(e.rec))
		switch {
		case turn > 0:
			turn -= n
		case n <= smallRecord && small > 0:
			small -= n
		default:
			kept = append(kept, e)
			continue
		}
		into = append(into, e)
		q.bytes -= n
	}
	clear(q.entries[len(kept):])
	q.entries = kept
	return into
}

// takeTiny appends to into the tiny records that have waited longest, of so many bytes in all, or one more.
func (q *queue) takeTiny(into []*entry, most int64) []*entry {
	kept := q.entries[:0]
	for _, e := range q.entries {
		n := int64(len(e.rec))
		if most <= 0 || n > tinyRecord {
			kept = append(kept, e)
			continue
		}
		most -= n
		into = append(into, e)
		q.bytes -= n
	}
	clear(q.entries[len(kept):])
	q.entries = kept
	return into
}

// takeAll empties the queue.
func (q *queue) takeAll() []*entry {
	all := q.entries
	*q = queue{}
	return all
}
