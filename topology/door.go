package topology

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// What was refused is remembered by its hash for a while, so that what comes again is told from what came once: when a table is nearly
// full, only that may enter.
const (
	doorRows = 1 << 13
	doorRow  = 8
	// doorGap is how many ticks must lie between two sights: what a batch, or a request's two ends, say twice at once is said once.
	doorGap = 5
	// doorKeeps is for how many ticks a sight counts.
	doorKeeps = 600
)

// knocked says that a hash has come before, and remembers that it came.
func (t *Topology) knocked(hash uint64) bool {
	s, known := t.door.note(hash, t.tick)
	return known && t.tick-s.tick >= doorGap
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
