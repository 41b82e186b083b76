package pb

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

// walk is what a reader finds, in text.
func walk(msg []byte) (fields []string, err error) {
	r := Over(msg)
	for r.Next() {
		if r.Tag&7 == Bytes {
			fields = append(fields, fmt.Sprintf("%d=%x", r.Tag, r.Bytes()))
		} else {
			fields = append(fields, fmt.Sprintf("%d=%d", r.Tag, r.Uint))
		}
	}
	return fields, r.Err
}

// TestReader writes messages by protobuf's own functions, and reads them.
func TestReader(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var msg []byte
		var want []string
		for range rapid.IntRange(0, 20).Draw(t, "fields") {
			num := protowire.Number(rapid.IntRange(1, int(protowire.MaxValidNumber)).Draw(t, "number"))
			typ := rapid.SampledFrom([]protowire.Type{Varint, Fixed64, Bytes, Fixed32}).Draw(t, "type")
			tag := uint64(num)<<3 | uint64(typ)
			msg = protowire.AppendTag(msg, num, typ)
			switch v := rapid.Uint64().Draw(t, "value"); typ {
			case Varint:
				msg = protowire.AppendVarint(msg, v)
				want = append(want, fmt.Sprintf("%d=%d", tag, v))
			case Fixed64:
				msg = protowire.AppendFixed64(msg, v)
				want = append(want, fmt.Sprintf("%d=%d", tag, v))
			case Fixed32:
				msg = protowire.AppendFixed32(msg, uint32(v))
				want = append(want, fmt.Sprintf("%d=%d", tag, uint32(v)))
			default:
				b := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")
				msg = protowire.AppendBytes(msg, b)
				want = append(want, fmt.Sprintf("%d=%x", tag, b))
			}
		}
		got, err := walk(msg)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%v %v, want %v", got, err, want)
		}
		if len(msg) > 0 {
			cut := rapid.IntRange(0, len(msg)-1).Draw(t, "cut")
			if got, err := walk(msg[:cut]); len(got) >= len(want) || fmt.Sprint(got) != fmt.Sprint(want[:len(got)]) ||
				err != nil && !errors.Is(err, ErrTruncated) {
				t.Fatalf("cut at %d: %v %v", cut, got, err)
			}
		}
	})
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		msg  string
		want error
	}{
		"a group without end":  {"\x0b\x08\x01", ErrWireType},
		"an end without group": {"\x0c", ErrWireType},
		"the end of another":   {"\x0b\x14", ErrWireType},
		"wire type 6":          {"\x0e", ErrWireType},
		"field 0":              {"\x00\x00", ErrTag},
		"a tag of 33 bits":     {"\x80\x80\x80\x80\x10\x00", ErrTag},
		"a varint of 11 bytes": {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", ErrVarint},
		"a varint of 65 bits":  {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", ErrVarint},
		"a length beyond":      {"\x0a\x05abcd", ErrTruncated},
		"a length of 2^64-1":   {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01abcd", ErrTruncated},
		"a fixed64 of 7 bytes": {"\x09abcdefg", ErrTruncated},
		"a tag alone":          {"\x08", ErrTruncated},
		"half a tag":           {"\x80", ErrTruncated},
	} {
		if _, err := walk([]byte(c.msg)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
