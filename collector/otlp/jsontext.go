package otlp

import (
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/internal/pb"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A jsonWriter writes the array or map that an attribute holds as the text of
// its JSON, bounded: what would exceed the limit or the depth is left out, and
// the brackets are closed, so that the text is JSON always.
type jsonWriter struct {
	d     *decoder
	buf   []byte
	limit int
	cut   bool // something was left out for length
	deep  bool // ... for depth
}

// intern puts the text into the table, and counts what was left out.
func (w *jsonWriter) intern() telemetry.StrID {
	if w.cut {
		w.d.Repair(collector.RepairLength)
	}
	if w.deep {
		w.d.Repair(collector.RepairDepth)
	}
	return w.d.Batch.Intern(w.buf)
}

// room says whether n bytes more keep within the limit.
func (w *jsonWriter) room(n int) bool {
	if len(w.buf)+n <= w.limit {
		return true
	}
	w.cut = true
	return false
}

// protoValue writes the value that r has just read of an AnyValue; a reader
// that has read nothing is null.
func (w *jsonWriter) protoValue(r pb.Reader, depth int) error {
	switch r.Tag {
	case 1<<3 | pb.Bytes:
		w.string(r.Bytes())
	case 2<<3 | pb.Varint:
		w.buf = strconv.AppendBool(w.buf, r.Uint != 0)
	case 3<<3 | pb.Varint:
		w.buf = strconv.AppendInt(w.buf, int64(r.Uint), 10)
	case 4<<3 | pb.Fixed64:
		w.float(math.Float64frombits(r.Uint))
	case 5<<3 | pb.Bytes:
		return w.protoList(r.Bytes(), depth)
	case 6<<3 | pb.Bytes:
		return w.protoMap(r.Bytes(), depth)
	case 7<<3 | pb.Bytes:
		w.base64(r.Bytes())
	default:
		w.null()
	}
	return nil
}

func (w *jsonWriter) protoList(msg []byte, depth int) error {
	if w.tooDeep(depth) {
		return nil
	}
	w.buf = append(w.buf, '[')
	r := pb.Over(msg)
	for n := 0; r.Next(); {
		if r.Tag != 1<<3|pb.Bytes {
			continue
		}
		if !w.room(8) {
			break
		}
		if n++; n > 1 {
			w.buf = append(w.buf, ',')
		}
		if err := w.protoAny(r.Bytes(), depth+1); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, ']')
	return r.Err
}

func (w *jsonWriter) protoMap(msg []byte, depth int) error {
	if w.tooDeep(depth) {
		return nil
	}
	w.buf = append(w.buf, '{')
	r := pb.Over(msg)
	for n := 0; r.Next(); {
		if r.Tag != 1<<3|pb.Bytes {
			continue
		}
		var key, value []byte
		kv := pb.Over(r.Bytes())
		for kv.Next() {
			switch kv.Tag {
			case 1<<3 | pb.Bytes:
				key = kv.Bytes()
			case 2<<3 | pb.Bytes:
				value = kv.Bytes()
			}
		}
		if kv.Err != nil {
			return kv.Err
		}
		if !w.room(len(key) + 12) {
			break
		}
		if n++; n > 1 {
			w.buf = append(w.buf, ',')
		}
		w.string(key)
		w.buf = append(w.buf, ':')
		if err := w.protoAny(value, depth+1); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, '}')
	return r.Err
}

func (w *jsonWriter) protoAny(msg []byte, depth int) error {
	var last pb.Reader
	r := pb.Over(msg)
	for r.Next() {
		if t := r.Tag >> 3; t >= 1 && t <= 7 {
			last = r
		}
	}
	if r.Err != nil {
		return r.Err
	}
	return w.protoValue(last, depth)
}

// tooDeep writes null in place of an array or map that nests too deep.
func (w *jsonWriter) tooDeep(depth int) bool {
	if depth <= w.d.Limits.Depth {
		return false
	}
	w.deep = true
	w.null()
	return true
}

func (w *jsonWriter) null() { w.buf = append(w.buf, "null"...) }

// float writes what JSON can: numbers that are none are text, as in OTLP's own JSON.
func (w *jsonWriter) float(v float64) {
	switch {
	case math.IsNaN(v):
		w.buf = append(w.buf, `"NaN"`...)
	case math.IsInf(v, 1):
		w.buf = append(w.buf, `"Infinity"`...)
	case math.IsInf(v, -1):
		w.buf = append(w.buf, `"-Infinity"`...)
	default:
		w.buf = strconv.AppendFloat(w.buf, v, 'g', -1, 64)
	}
}

func (w *jsonWriter) base64(s []byte) {
	if most := max(0, w.limit-len(w.buf)) / 4 * 3; len(s) > most {
		w.cut = true
		s = s[:most]
	}
	w.buf = append(w.buf, '"')
	w.buf = base64.StdEncoding.AppendEncode(w.buf, s)
	w.buf = append(w.buf, '"')
}

const hexDigits = "0123456789abcdef"

// string writes a text, cut where the limit is reached; an invalid byte is
// U+FFFD.
func (w *jsonWriter) string(s []byte) {
	w.buf = append(w.buf, '"')
	for len(s) > 0 {
		if !w.room(6) {
			break
		}
		c := s[0]
		switch {
		case c == '"' || c == '\\':
			w.buf = append(w.buf, '\\', c)
		case c < ' ':
			w.buf = append(w.buf, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			w.buf = append(w.buf, c)
		default:
			r, n := utf8.DecodeRune(s)
			if r == utf8.RuneError && n == 1 {
				w.d.Repair(collector.RepairUTF8)
			}
			w.buf = utf8.AppendRune(w.buf, r)
			s = s[n-1:]
		}
		s = s[1:]
	}
	w.buf = append(w.buf, '"')
}
