package aggregator

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The state on disk; docs/format/aggregator.md draws it. In version 1 operations had no
// outcome, in version 2 nobody waited to be let in.
const (
	stateMagic   = "BNAGGR"
	stateVersion = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // immutable

// Save writes the state that the log determines, up to Applied. Two
// aggregators that consumed the same entries write the same bytes.
func (a *Aggregator) Save(w io.Writer) error {
	sum := crc32.New(castagnoli)
	buf := bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10)
	e := encoder{w: buf}
	_, _ = buf.WriteString(stateMagic)
	_ = buf.WriteByte(stateVersion)
	e.uint(uint64(a.applied))
	e.int(a.now)
	e.int(a.sweepAt)
	e.uint(uint64(len(a.opOrder)))
	for _, op := range a.opOrder {
		e.str(op.key.service)
		e.str(op.key.namespace)
		e.str(op.key.version)
		e.str(op.key.name)
		e.uint(uint64(op.key.kind))
		e.uint(uint64(op.key.status))
		e.uint(uint64(op.key.outcome))
		e.series(&op.series, a.now)
	}
	e.uint(uint64(len(a.edgeOrder)))
	for _, ed := range a.edgeOrder {
		e.endpoint(&ed.key.Source)
		e.endpoint(&ed.key.Target)
		e.uint(uint64(ed.key.Protocol))
		e.uint(uint64(ed.written()))
		for i, s := range ed.series {
			e.variant(ed.variants[i])
			e.series(s, a.now)
			if s.taken != nil {
				e.int(takenCode)
				e.series(s.taken, a.now)
			}
		}
	}
	for i := range a.opOverflow {
		for _, s := range a.opOverflow[i] {
			e.overflow(s, a.now)
		}
	}
	for _, s := range a.edgeOverflow {
		e.overflow(s, a.now)
	}
	e.crowd(a)
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("save the aggregator's state: %w", err)
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32())); err != nil {
		return fmt.Errorf("save the aggregator's state: %w", err)
	}
	return nil
}

type encoder struct {
	w   *bufio.Writer
	tmp [binary.MaxVarintLen64]byte
}

// Errors of the buffered writer are kept by it until Flush.

func (e *encoder) uint(v uint64) { _, _ = e.w.Write(e.tmp[:binary.PutUvarint(e.tmp[:], v)]) }
func (e *encoder) int(v int64)   { _, _ = e.w.Write(e.tmp[:binary.PutVarint(e.tmp[:], v)]) }

func (e *encoder) str(s string) {
	e.uint(uint64(len(s)))
	_, _ = e.w.WriteString(s)
}

func (e *encoder) endpoint(p *telemetry.Endpoint) {
	e.uint(uint64(p.Node.Kind))
	for _, s := range [...]string{p.Node.Cluster, p.Node.Namespace, p.Node.Name, p.Workload, p.App, p.Version, p.Principal, p.System} {
		e.str(s)
	}
}

// sideAlone is how a server that is alone is written in the place of its side.
const sideAlone = 2

// takenCode is written in the place of a code where what follows is what was taken back of the series before it.
const takenCode = -2

func (e *encoder) variant(v variant) {
	e.int(int64(v.code))
	e.uint(uint64(v.flags))
	side := uint64(v.side)
	if v.alone {
		side = sideAlone
	}
	e.uint(side)
	e.uint(uint64(v.evidence))
	e.uint(uint64(v.outcome))
	e.uint(uint64(v.tls))
}

func (e *encoder) series(s *series, now int64) {
	e.uint(uint64(now - s.lastSeen))
	l := &s.latency
	e.uint(l.count)
	e.uint(l.zero)
	e.uint(l.sumHi)
	e.uint(l.sumLo)
	e.uint(uint64(len(l.counts)))
	e.int(int64(l.low))
	for _, c := range l.counts {
		e.uint(c)
	}
}

func (e *encoder) overflow(s *series, now int64) {
	if s == nil {
		e.uint(0)
		return
	}
	if s.taken == nil {
		e.uint(1)
		e.series(s, now)
		return
	}
	e.uint(2)
	e.series(s, now)
	e.series(s.taken, now)
}

// written is how many series of an edge are written, with those of what was taken back.
func (e *edge) written() (n int) {
	for _, s := range e.series {
		if n++; s.taken != nil {
			n++
		}
	}
	return n
}
