package telemetry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrNewerRecord says that a record is not damaged, but of a version that this binary does not know.
var ErrNewerRecord = errors.New("a newer version wrote it; go back to that one")

// DecodeRecord fills the batch, emptied first, with what a record holds. It
// accepts what any version up to this one wrote; on error the batch's content
// is undefined. It never panics, whatever the bytes.
func (b *Batch) DecodeRecord(rec []byte) error {
	b.resetForDecode()
	d := decoder{in: rec, b: b}
	if d.version = d.byte(); d.err == nil && (d.version == 0 || d.version > recordVersion) {
		return fmt.Errorf("decode record: version %d is not known to this binary (it knows 1 to %d): %w", d.version, recordVersion, ErrNewerRecord)
	}
	d.strings()
	d.attrs()
	d.resources()
	d.events()
	d.links()
	d.spans()
	d.requests()
	if d.err == nil && len(d.in) > 0 {
		d.err = fmt.Errorf("%d bytes are left over", len(d.in))
	}
	if d.err != nil {
		return fmt.Errorf("decode record: %w", d.err)
	}
	return nil
}

func (b *Batch) resetForDecode() {
	b.Reset()
	b.deduped = false
}

type decoder struct {
	in      []byte
	b       *Batch
	version byte
	remap   []StrID // by the record's StrID; nil where the ids are ours
	err     error
	next    uint32
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.in = nil
}

func (d *decoder) byte() byte {
	if len(d.in) == 0 {
		d.fail(errShort)
		return 0
	}
	v := d.in[0]
	d.in = d.in[1:]
	return v
}

func (d *decoder) uint() uint64 {
	if len(d.in) > 0 && d.in[0] < 0x80 {
		v := d.in[0]
		d.in = d.in[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(d.in)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.in = d.in[n:]
	return v
}

func (d *decoder) int() int64 {
	v := d.uint()
	return int64(v>>1) ^ -int64(v&1)
}

func (d *decoder) fixed() uint64 {
	if len(d.in) < 8 {
		d.fail(errShort)
		return 0
	}
	v := binary.LittleEndian.Uint64(d.in)
	d.in = d.in[8:]
	return v
}

func (d *decoder) bytes(dst []byte) {
	if len(d.in) < len(dst) {
		d.fail(errShort)
		return
	}
	copy(dst, d.in)
	d.in = d.in[len(dst):]
}

// count reads how many things follow, each of at least size bytes.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.in)/size) {
		d.fail(errShort)
		return 0
	}
	return int(n)
}

func (d *decoder) str() StrID {
	v := d.uint()
	if d.remap != nil {
		if v >= uint64(len(d.remap)) {
			d.fail(errRange)
			return 0
		}
		return d.remap[v]
	}
	if v >= uint64(len(d.b.ends)) {
		d.fail(errRange)
		return 0
	}
	return StrID(v)
}

func (d *decoder) u32() uint32 {
	v := d.uint()
	if v > math.MaxUint32 {
		d.fail(errRange)
	}
	return uint32(v)
}

// rng reads a range of an array of n things.
func (d *decoder) rng(next uint32, n int) (Range, uint32) {
	l := d.uint()
	if l == 0 {
		return Range{}, next
	}
	start := int64(next) + d.int()
	if start < 0 || start > int64(n) || l > uint64(int64(n)-start) {
		d.fail(errRange)
		return Range{}, next
	}
	return Range{uint32(start), uint32(l)}, uint32(start) + uint32(l)
}

func (d *decoder) strings() {
	known := d.uint()
	d.b.Received = int64(d.fixed())
	n := d.count(1)
	if known == 0 || known > uint64(numWellKnown) {
		d.fail(fmt.Errorf("it names %d well-known strings, this binary knows %d: %w", known, numWellKnown, ErrNewerRecord))
		return
	}
	if d.err != nil {
		return
	}
	base := len(d.b.arena)
	total := uint64(base)
	for range n {
		total += d.uint()
		if total-uint64(base) > uint64(len(d.in)) {
			d.fail(errShort)
			return
		}
		d.b.ends = append(d.b.ends, uint32(total))
	}
	size := int(total) - base
	if size > len(d.in) {
		d.fail(errShort)
		return
	}
	d.b.arena = append(d.b.arena, d.in[:size]...)
	d.in = d.in[size:]
	if known != uint64(numWellKnown) {
		d.mapStrings(int(known), n)
	}
}

// mapStrings makes the table that maps the ids of a record whose writer knew
// fewer strings: a string that has become well-known since gets its number.
func (d *decoder) mapStrings(known, n int) {
	d.remap = make([]StrID, 0, known+n)
	for i := range known {
		d.remap = append(d.remap, StrID(i))
	}
	d.b.buildSlots()
	for i := range n {
		id := StrID(int(numWellKnown) + i)
		for j := known; j < int(numWellKnown); j++ {
			if d.b.Str(id) == wellKnown[j] {
				id = StrID(j)
				break
			}
		}
		d.remap = append(d.remap, id)
	}
}

func (d *decoder) attrs() {
	n := d.count(2)
	for range n {
		v := d.uint()
		a := Attr{Type: AttrType(v & 7)}
		key := v >> 3
		limit := uint64(len(d.b.ends))
		if d.remap != nil {
			limit = uint64(len(d.remap))
		}
		if key >= limit || a.Type > AttrJSON {
			d.fail(errRange)
			return
		}
		a.Key = StrID(key)
		if d.remap != nil {
			a.Key = d.remap[key]
		}
		switch a.Type {
		case AttrInt:
			a.Value = uint64(d.int())
		case AttrFloat:
			a.Value = d.fixed()
		case AttrBool:
			a.Value = d.uint() & 1
		default:
			a.Value = uint64(d.str())
		}
		d.b.Attrs = append(d.b.Attrs, a)
	}
}

func (d *decoder) identity() Identity {
	var id Identity
	for _, p := range [...]*StrID{&id.Cluster, &id.Namespace, &id.Workload, &id.Service, &id.App, &id.Version, &id.Instance, &id.Principal} {
		*p = d.str()
	}
	return id
}

func (d *decoder) resources() {
	n := d.count(9)
	for range n {
		r := Resource{Identity: d.identity()}
		r.Attrs, d.next = d.rng(d.next, len(d.b.Attrs))
		d.b.Resources = append(d.b.Resources, r)
	}
}

func (d *decoder) events() {
	d.next = 0
	n := d.count(3)
	for range n {
		e := Event{Time: d.b.Received + d.int(), Name: d.str()}
		e.Attrs, d.next = d.rng(d.next, len(d.b.Attrs))
		d.b.Events = append(d.b.Events, e)
	}
}

func (d *decoder) links() {
	n := d.count(25)
	for range n {
		var l Link
		d.bytes(l.TraceID[:])
		d.bytes(l.SpanID[:])
		l.Attrs, d.next = d.rng(d.next, len(d.b.Attrs))
		d.b.Links = append(d.b.Links, l)
	}
}
