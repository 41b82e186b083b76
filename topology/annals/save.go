package annals

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

const (
	magic   = "BINANNA"
	version = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // immutable

// Append writes all that is remembered. Equal annals are equal bytes. What is left of an hour's news is not written.
func (a *Annals) Append(b []byte) []byte {
	start := len(b)
	b = append(append(b, magic...), version)
	for _, v := range [...]int64{a.began, a.looked, a.heard, a.swept, a.since} {
		b = binary.AppendVarint(b, v)
	}
	for _, v := range [...]uint64{a.stats.LeftOut, a.stats.Forgotten, a.stats.Displaced} {
		b = binary.AppendUvarint(b, v)
	}
	b = binary.AppendUvarint(b, uint64(len(a.pairs)))
	for _, n := range sorted(a.pairs) {
		p := a.pairs[n]
		b = binary.LittleEndian.AppendUint64(b, n)
		b = appendText(appendText(b, p.source), p.target)
		for _, v := range [...]int64{p.first, p.last - p.first, p.heard, p.gap} {
			b = binary.AppendVarint(b, v)
		}
		b = append(b, byte(btoi(p.junk)|btoi(p.gone)<<1))
	}
	b = binary.AppendUvarint(b, uint64(len(a.nodes)))
	for _, n := range sorted(a.nodes) {
		m := a.nodes[n]
		b = binary.LittleEndian.AppendUint64(b, n)
		b = binary.AppendVarint(binary.AppendVarint(appendText(appendText(b, m.id), m.cluster), m.first), m.last)
		editions := slices.Clone(m.editions)
		slices.SortFunc(editions, func(x, y edition) int { return cmp.Compare(x.version, y.version) })
		b = binary.AppendUvarint(b, uint64(len(editions)))
		for _, e := range editions {
			b = binary.AppendVarint(binary.AppendVarint(appendText(b, e.version), e.first), e.last)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(a.events)))
	for i := range a.events {
		b = appendEvent(b, &a.events[i])
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

func sorted[V any](m map[uint64]V) []uint64 {
	numbers := make([]uint64, 0, len(m))
	for n := range m {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return numbers
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendEvent writes one of those kinds that are told here: they have no judgement.
func appendEvent(b []byte, e *telemetry.GraphEvent) []byte {
	b = binary.AppendVarint(append(b, byte(e.Kind)), e.At)
	b = append(b, e.TraceID[:]...)
	b = appendText(appendText(appendText(b, e.Service), e.Says), e.Version)
	for _, list := range [...][]string{e.Nodes, e.Edges, e.Evidence} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, s := range list {
			b = appendText(b, s)
		}
	}
	return b
}

var errNonsense = errors.New("load annals: it holds what cannot be, it is damaged; begin empty and replay the log")

// Read is what Append wrote, with these bounds.
func Read(b []byte, cfg Config) (*Annals, error) {
	const head, tail = len(magic) + 1, 4
	switch {
	case len(b) < head+tail || string(b[:len(magic)]) != magic:
		return nil, errors.New("load annals: these are none; begin empty and replay the log")
	case b[head-1] != version:
		return nil, fmt.Errorf("load annals: version %d is not known to this binary (it knows %d); begin empty and replay the log", b[head-1], version)
	case crc32.Checksum(b[:len(b)-tail], castagnoli) != binary.LittleEndian.Uint32(b[len(b)-tail:]):
		return nil, errors.New("load annals: the checksum is wrong, they are damaged; begin empty and replay the log")
	}
	r := reader{b: b[head : len(b)-tail]}
	a := New(cfg)
	for _, v := range [...]*int64{&a.began, &a.looked, &a.heard, &a.swept, &a.since} {
		*v = r.int()
	}
	for _, v := range [...]*uint64{&a.stats.LeftOut, &a.stats.Forgotten, &a.stats.Displaced} {
		*v = r.uint()
	}
	a.hour = a.looked / int64(3600e9)
	names := map[string]string{}
	name := func() string { // one string for all of the same node
		s := r.text()
		if known, ok := names[s]; ok {
			return known
		}
		names[s] = s
		return s
	}
	for range r.count(14) {
		n := r.eight()
		p := &Pair{source: name(), target: name(), first: r.int()}
		p.last, p.heard, p.gap = p.first+r.int(), r.int(), r.int()
		flags := r.byte()
		p.junk, p.gone = flags&1 != 0, flags&2 != 0
		if _, twice := a.pairs[n]; twice || p.last < p.first || p.heard > a.heard || p.gap < 0 || flags > 3 {
			r.bad = true
		}
		a.pairs[n] = p
	}
	for range r.count(12) {
		n := r.eight()
		m := &member{id: name(), cluster: name(), first: r.int(), last: r.int()}
		for range r.count(3) {
			m.editions = append(m.editions, edition{version: r.text(), first: r.int(), last: r.int()})
		}
		if _, twice := a.nodes[n]; twice || len(m.editions) > mostVersions {
			r.bad = true
		}
		a.nodes[n] = m
	}
	for range r.count(24) {
		a.events = append(a.events, r.event())
	}
	if r.bad || len(r.b) > 0 || len(a.events) > mostEvents {
		return nil, errNonsense
	}
	a.makeRoom()
	return a, nil
}

// A reader reads what Append wrote; after what it cannot read it is bad, and all else is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) eight() uint64 {
	if b := r.bytes(8); len(b) == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) text() string { return string(r.bytes(r.uint())) }

// count is the length of a list whose elements take at least so many bytes.
func (r *reader) count(least int) int {
	n := r.uint()
	if n > uint64(len(r.b)/least) { //nolint:gosec // not negative
		r.bad, r.b = true, nil
		return 0
	}
	return int(n) //nolint:gosec // bounded by the bytes there are
}

func (r *reader) event() (e telemetry.GraphEvent) {
	e.Kind, e.At = telemetry.EventKind(r.byte()), r.int()
	if e.Kind > telemetry.EventCycle {
		r.bad, e.Kind = true, 0
	}
	copy(e.TraceID[:], r.bytes(16))
	e.Service, e.Says, e.Version = r.text(), r.text(), r.text()
	for _, list := range [...]*[]string{&e.Nodes, &e.Edges, &e.Evidence} {
		for range r.count(1) {
			*list = append(*list, r.text())
		}
	}
	return e
}
