package pb

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

// TestAppend writes fields by ours and by protobuf's own functions: the same bytes.
func TestAppend(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var got, want []byte
		for range rapid.IntRange(0, 20).Draw(t, "fields") {
			field := rapid.IntRange(1, int(protowire.MaxValidNumber)).Draw(t, "number")
			num, v := protowire.Number(field), rapid.Uint64().Draw(t, "value")
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				got = AppendUvarint(got, field, v)
				want = protowire.AppendVarint(protowire.AppendTag(want, num, protowire.VarintType), v)
			case 1:
				got = AppendNonZero(got, field, v)
				if v != 0 {
					want = protowire.AppendVarint(protowire.AppendTag(want, num, protowire.VarintType), v)
				}
			case 2:
				got = AppendFixed64(got, field, v)
				want = protowire.AppendFixed64(protowire.AppendTag(want, num, protowire.Fixed64Type), v)
			case 3:
				got = AppendFixed32(got, field, uint32(v))
				want = protowire.AppendFixed32(protowire.AppendTag(want, num, protowire.Fixed32Type), uint32(v))
			default:
				text := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")
				got = AppendBytes(got, field, text)
				want = protowire.AppendBytes(protowire.AppendTag(want, num, protowire.BytesType), text)
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%x, want %x", got, want)
		}
	})
}

// TestOpen nests messages of lengths around those at which a length takes a byte more.
func TestOpen(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 120, 124, 125, 126, 127, 128, 16_378, 16_379, 16_384, 3 << 20} {
		text := bytes.Repeat([]byte{'x'}, n)
		want := []byte("before")
		want = AppendBytes(want, 3, AppendBytes(AppendBytes(nil, 4, text), 5, "after"))
		got, outer := Open([]byte("before"), 3)
		got, inner := Open(got, 4)
		got = Shut(append(got, text...), inner)
		got = Shut(AppendBytes(got, 5, "after"), outer)
		if !bytes.Equal(got, want) {
			t.Errorf("a text of %d bytes within a message: %d bytes, want %d", n, len(got), len(want))
		}
	}
}

// FuzzReader: a walk ends well where protobuf's own functions find nothing wrong, and sees the same fields.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\x0a\x03abc\x10\x96\x01"))
	f.Add([]byte("\x0b\x08\x01\x13\x14\x0c\x0d1234\x1112345678")) // a group within a group, and the fixed types
	f.Add([]byte("\x0b\x0b\x0c"))
	f.Add([]byte("\xff\xff\xff\xff\x0f\x01"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		r := Over(msg)
		for rest := msg; ; {
			num, typ, n := protowire.ConsumeTag(rest)
			if n >= 0 && num > protowire.MaxValidNumber {
				n = -1
			}
			m := -1
			if n >= 0 {
				m = protowire.ConsumeFieldValue(num, typ, rest[n:])
			}
			if !r.Next() {
				if (r.Err == nil) != (len(rest) == 0) || r.Err != nil && m >= 0 {
					t.Fatalf("%x: ends with %v at %x", msg, r.Err, rest)
				}
				return
			}
			if m < 0 {
				t.Fatalf("%x: read %d at %x, which is not a field", msg, r.Tag, rest)
			}
			value := rest[n : n+m]
			var want Reader
			switch typ {
			case protowire.VarintType:
				want.Uint, _ = protowire.ConsumeVarint(value)
			case protowire.Fixed64Type:
				want.Uint, _ = protowire.ConsumeFixed64(value)
			case protowire.Fixed32Type:
				v, _ := protowire.ConsumeFixed32(value)
				want.Uint = uint64(v)
			case protowire.BytesType:
				want.val, _ = protowire.ConsumeBytes(value)
			}
			if r.Tag != Tag(uint32(num)<<3|uint32(typ)) || typ == protowire.BytesType && !bytes.Equal(r.Bytes(), want.val) ||
				typ != protowire.BytesType && typ != protowire.StartGroupType && r.Uint != want.Uint {
				t.Fatalf("%x: read %d %d %x, want field %d of type %d: %x", msg, r.Tag, r.Uint, r.val, num, typ, value)
			}
			rest = rest[n+m:]
		}
	})
}
