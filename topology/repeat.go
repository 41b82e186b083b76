package topology

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: a sender that was not answered sends the same request again, seconds or minutes later, perhaps after a restart of the server,
// which has it in its log already. While halves wait each span is known by its ids; for a quarter of an hour that would be gigabytes.
//
// The form: such a sender repeats what it sent to the last byte (exporters retry requests, queues redeliver messages), and a request is a batch. So
// a batch is remembered by one number made of all its spans, in a table of rows that keep their latest few, as the door does: memory is
// bounded, and a flood of small batches makes it shorter. It is state, and saved.
//
// Not chosen: filters of span ids (2 bytes a span at least, and each false answer is a request lost); forgetting by sender (a sender is an
// address, and comes again by another).

// repeats remembers batches of spans.
type repeats struct {
	rows [][repeatRow]sight // nil until something came
}

// sight is a batch, and the tick in which it last came. The zero sight is none.
type sight struct {
	batch uint64
	tick  int64
}

const (
	// 131,072 batches, 2 MiB.
	repeatRows = 1 << 13
	repeatRow  = 16
	// repeatKeeps is for how many ticks a batch is remembered: 15 minutes.
	repeatKeeps = 9000
)

// seen says that a batch has come before, and remembers that it came.
func (r *repeats) seen(batch uint64, tick int64) bool {
	if r.rows == nil {
		r.rows = make([][repeatRow]sight, repeatRows)
	}
	row := &r.rows[batch%repeatRows]
	least := 0
	for i := range row {
		s := &row[i]
		if s.batch == batch && s.tick != 0 {
			again := tick-s.tick < repeatKeeps
			s.tick = tick
			return again
		}
		if s.before(&row[least]) {
			least = i
		}
	}
	row[least] = sight{batch, tick}
	return false
}

func (s *sight) before(o *sight) bool {
	return s.tick < o.tick || s.tick == o.tick && s.batch < o.batch
}

// forget gives the memory back when nothing in it counts any more.
func (r *repeats) forget(tick int64) {
	for i := range r.rows {
		for _, s := range r.rows[i] {
			if s.tick != 0 && tick-s.tick < repeatKeeps {
				return
			}
		}
	}
	r.rows = nil
}

// list is what is remembered at tick, oldest first.
func (r *repeats) list(tick int64) (all []sight) {
	for i := range r.rows {
		for _, s := range r.rows[i] {
			if s.tick != 0 && tick-s.tick < repeatKeeps {
				all = append(all, s)
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

// repeated says that a batch of spans, and of nothing else, has come before; if so it counts it as left out. Who could make another's batch look
// like one that came would have to know its ids beforehand.
func (t *Topology) repeated(b *telemetry.Batch) bool {
	if len(b.Spans) == 0 || len(b.Requests) > 0 || !t.repeats.seen(digest(b.Spans), t.tick) {
		return false
	}
	for i := range b.Spans {
		if s := &b.Spans[i]; s.Kind > telemetry.KindInternal || !s.TraceID.IsZero() && !s.SpanID.IsZero() {
			t.stats.LeftOut.Duplicates++
		}
	}
	return true
}

// digest is a number made of spans' ids and times, and of their order.
func digest(spans []telemetry.Span) uint64 {
	h := uint64(len(spans))
	for i := range spans {
		s := &spans[i]
		v := fold(binary.LittleEndian.Uint64(s.TraceID[:8])^0x9e3779b97f4a7c15, binary.LittleEndian.Uint64(s.TraceID[8:])^0xd1342543de82ef95)
		v ^= fold(binary.LittleEndian.Uint64(s.SpanID[:])^0xbf58476d1ce4e5b9, uint64(s.Start)^0x94d049bb133111eb)          //nolint:gosec // bits
		h = fold(h^v^0xa0761d6478bd642f, uint64(s.Duration)<<3^uint64(s.Kind)^bits.RotateLeft64(v, 31)^0xe7037ed1a0b428db) //nolint:gosec // bits
	}
	return h
}

// fold mixes two words into one, of which each bit depends on all of both.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
