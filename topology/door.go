package topology

import (
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// door remembers the hashes of what was refused for a while, so that what comes again is told from what came once: when a table is nearly
// full, only that may enter. A row keeps the latest few of its hashes; so a flood makes the memory shorter, and never larger.
//
// It is state like any other: what it answers depends on the log alone, and on no order but that of time.
type door struct {
	rows [][doorRow]refusal // nil until something is refused
}

// refusal is a hash, and the tick in which it first came. The zero refusal is none.
type refusal struct {
	hash uint64
	tick int64
}

const (
	doorRows = 1 << 13
	doorRow  = 8
	// doorGap is how many ticks must lie between two sights: what a batch, or a request's two ends, say twice at once is said once.
	doorGap = 5
	// doorKeeps is for how many ticks a sight counts.
	doorKeeps = 600
)

// seen says that a hash has come before, and remembers that it came.
func (d *door) seen(hash uint64, tick int64) bool {
	if d.rows == nil {
		d.rows = make([][doorRow]refusal, doorRows)
	}
	row := &d.rows[hash%doorRows]
	least := 0
	for i := range row {
		r := &row[i]
		if r.hash == hash && tick-r.tick < doorKeeps {
			return tick-r.tick >= doorGap
		}
		if r.before(&row[least]) {
			least = i
		}
	}
	row[least] = refusal{hash, tick}
	return false
}

func (r *refusal) before(o *refusal) bool {
	return r.tick < o.tick || r.tick == o.tick && r.hash < o.hash
}

// forget gives the memory back when nothing in it counts any more.
func (d *door) forget(tick int64) {
	for i := range d.rows {
		for _, r := range d.rows[i] {
			if r.tick != 0 && tick-r.tick < doorKeeps {
				return
			}
		}
	}
	d.rows = nil
}

// list is what counts at tick, in order.
func (d *door) list(tick int64) (all []refusal) {
	for i := range d.rows {
		for _, r := range d.rows[i] {
			if r.tick != 0 && tick-r.tick < doorKeeps {
				all = append(all, r)
			}
		}
	}
	slices.SortFunc(all, func(a, b refusal) int {
		if a.before(&b) {
			return -1
		}
		return 1
	})
	return all
}

// hashOf tells names of nodes apart. It is no secret: whoever makes two names meet gains one seat, which he has by coming twice as well.
func hashOf(n telemetry.Node) uint64 {
	h := xxhash.Sum64String(n.Name)
	return mix(mix(h, xxhash.Sum64String(n.Namespace)), uint64(n.Kind))
}

// hashEdge tells edges apart by the hashes of their nodes.
func hashEdge(src, dst uint64, p telemetry.Protocol) uint64 { return mix(mix(src, dst), 16+uint64(p)) }

func mix(a, b uint64) uint64 {
	var pair [16]byte
	binary.LittleEndian.PutUint64(pair[:8], a)
	binary.LittleEndian.PutUint64(pair[8:], b)
	return xxhash.Sum64(pair[:])
}
