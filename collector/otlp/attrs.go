package otlp

import (
	"fmt"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/internal/pb"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// guesses remember, within one message, which key followed a key last time and
// which value a key had. Instrumentation writes the same keys in the same order
// span after span, and many values do not change either, so that a comparison
// mostly takes the place of a hash and a lookup. Which key follows depends on the
// instrumentation, of which a run's first key tells. A wrong guess costs one
// comparison and changes nothing.
type guesses struct {
	after [numGuesses]telemetry.StrID // by the run's first key and the key before, mixed
	value [numGuesses]telemetry.StrID // by the key
}

const numGuesses = 512

func (g *guesses) reset() { *g = guesses{} }

// add appends an attribute, or counts it as nameless.
func (d *decoder) add(a telemetry.Attr) {
	if a.Key == 0 {
		d.Repair(collector.RepairKey)
		return
	}
	d.Batch.Attrs = append(d.Batch.Attrs, a)
}

// full says whether the attributes that begin at start are as many as one owner may have, and
// then counts the next as left out.
func (d *decoder) full(start int) bool {
	if len(d.Batch.Attrs)-start < d.Limits.Attributes {
		return false
	}
	d.Repair(collector.RepairAttributes)
	return true
}

// key interns the key of the attribute that comes next in the run that begins
// at start.
func (d *decoder) key(s []byte, start int) telemetry.StrID {
	b := d.Batch
	var place telemetry.StrID
	if n := len(b.Attrs); n > start {
		place = b.Attrs[n-1].Key + 61*b.Attrs[start].Key
	}
	guess := &d.attrs.after[place%numGuesses]
	if string(b.Bytes(*guess)) == string(s) {
		return *guess
	}
	id := d.Key(s)
	*guess = id
	return id
}

// value interns the text that is the value of key.
func (d *decoder) value(key telemetry.StrID, s []byte) telemetry.StrID {
	guess := &d.attrs.value[key%numGuesses]
	if string(d.Batch.Bytes(*guess)) == string(s) {
		return *guess
	}
	id := d.Text(s)
	*guess = id
	return id
}

// keyValue decodes a KeyValue and appends it to the run of attributes that
// begins at start.
func (d *decoder) keyValue(msg []byte, start int) error {
	if d.full(start) {
		return nil
	}
	var key, value []byte
	if n := commonKey(msg); n > 0 {
		key, value = msg[2:2+n], msg[4+n:]
	} else {
		r := pb.Over(msg)
		for r.Next() {
			switch r.Tag {
			case 1<<3 | pb.Bytes:
				key = r.Bytes()
			case 2<<3 | pb.Bytes:
				value = r.Bytes()
			}
		}
		if r.Err != nil {
			return fmt.Errorf("attributes: %w", r.Err)
		}
	}
	a := telemetry.Attr{Key: d.key(key, start)}
	switch n := len(value); {
	case n >= 2 && value[0] == 1<<3|pb.Bytes && int(value[1]) == n-2 && n < 0x80:
		a.Value = uint64(d.value(a.Key, value[2:]))
	case n == 2 && value[0] == 3<<3|pb.Varint && value[1] < 0x80:
		a.Type, a.Value = telemetry.AttrInt, uint64(value[1])
	case n == 3 && value[0] == 3<<3|pb.Varint && value[1] >= 0x80 && value[2] < 0x80:
		a.Type, a.Value = telemetry.AttrInt, uint64(value[1]&0x7f)|uint64(value[2])<<7
	default:
		if err := d.anyValue(value, &a); err != nil {
			return fmt.Errorf("attribute %q: %w", key, err)
		}
	}
	d.add(a)
	return nil
}

// commonKey is the length of the key of a KeyValue that has the form which all
// encoders give it: a key, then a value, each shorter than 128 bytes, and
// nothing else. It is 0 for any other.
func commonKey(b []byte) int {
	if len(b) < 4 || b[0] != 1<<3|pb.Bytes || len(b) > 0x7f {
		return 0
	}
	n := int(b[1])
	if 4+n > len(b) || b[2+n] != 2<<3|pb.Bytes || int(b[3+n]) != len(b)-4-n {
		return 0
	}
	return n
}

// anyValue decodes an AnyValue into a's type and value; one that says nothing
// is null.
func (d *decoder) anyValue(msg []byte, a *telemetry.Attr) error {
	// Of several values the last counts, and the text of one that does not
	// count must not be interned.
	var last pb.Reader
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Bytes, 2<<3 | pb.Varint, 3<<3 | pb.Varint, 4<<3 | pb.Fixed64,
			5<<3 | pb.Bytes, 6<<3 | pb.Bytes, 7<<3 | pb.Bytes:
			last = r
		}
	}
	if r.Err != nil {
		return r.Err
	}
	switch last.Tag {
	case 1<<3 | pb.Bytes:
		a.Type, a.Value = telemetry.AttrString, uint64(d.value(a.Key, last.Bytes()))
	case 2<<3 | pb.Varint:
		a.Type = telemetry.AttrBool
		if last.Uint != 0 {
			a.Value = 1
		}
	case 3<<3 | pb.Varint:
		a.Type, a.Value = telemetry.AttrInt, last.Uint
	case 4<<3 | pb.Fixed64:
		a.Type, a.Value = telemetry.AttrFloat, last.Uint
	case 7<<3 | pb.Bytes:
		a.Type, a.Value = telemetry.AttrBytes, uint64(d.Raw(last.Bytes()))
	default:
		w := jsonWriter{d: d, buf: d.nested[:0], limit: d.Limits.ValueBytes}
		err := w.protoValue(last, 1)
		d.nested = w.buf
		if err != nil {
			return err
		}
		a.Type, a.Value = telemetry.AttrJSON, uint64(w.intern())
	}
	return nil
}
