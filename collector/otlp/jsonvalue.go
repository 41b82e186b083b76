package otlp

import (
	"encoding/base64"
	"math"
	"strconv"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// jsonAttributes reads an array of KeyValue.
func (d *decoder) jsonAttributes(r *jsonReader) telemetry.Range {
	start := len(d.Batch.Attrs)
	for more := r.begin('['); more; more = r.more(']') {
		if d.full(start) {
			r.skip()
			continue
		}
		a := telemetry.Attr{Type: telemetry.AttrJSON} // and none written yet
		for more := r.begin('{'); more; more = r.more('}') {
			switch string(r.key()) {
			case "key":
				a.Key = d.key(r.text(), start)
			case "value":
				d.jsonAnyValue(r, &a)
			default:
				r.skip()
			}
		}
		if r.err != nil {
			break
		}
		if a.Type == telemetry.AttrJSON && a.Value == 0 {
			a.Value = uint64(d.Batch.InternString("null"))
		}
		d.add(a)
	}
	return run(start, len(d.Batch.Attrs))
}

// jsonAnyValue reads an AnyValue into a's type and value.
func (d *decoder) jsonAnyValue(r *jsonReader, a *telemetry.Attr) {
	w := jsonWriter{d: d, buf: d.nested[:0], limit: d.Limits.ValueBytes}
	nested := true // one that says nothing is null
	for more := r.begin('{'); more; more = r.more('}') {
		switch string(r.key()) {
		case "stringValue":
			nested, a.Type, a.Value = false, telemetry.AttrString, uint64(d.value(a.Key, r.text()))
		case "boolValue":
			nested, a.Type, a.Value = false, telemetry.AttrBool, 0
			if r.bool() {
				a.Value = 1
			}
		case "intValue":
			nested, a.Type, a.Value = false, telemetry.AttrInt, uint64(r.signed())
		case "doubleValue":
			nested, a.Type, a.Value = false, telemetry.AttrFloat, math.Float64bits(r.float())
		case "bytesValue":
			nested, a.Type, a.Value = false, telemetry.AttrBytes, uint64(d.Raw(d.base64(r)))
		case "arrayValue":
			nested, w.buf = true, w.buf[:0]
			w.jsonList(r, 1)
		case "kvlistValue":
			nested, w.buf = true, w.buf[:0]
			w.jsonMap(r, 1)
		default:
			r.skip()
		}
	}
	if nested && r.err == nil {
		if len(w.buf) == 0 {
			w.null()
		}
		a.Type, a.Value = telemetry.AttrJSON, uint64(w.intern())
	}
	d.nested = w.buf
}

// base64 reads bytes, of either alphabet, padded or not, as protobuf's mapping
// has it. They are valid until the next.
func (d *decoder) base64(r *jsonReader) []byte {
	s := r.text()
	for len(s) > 0 && s[len(s)-1] == '=' {
		s = s[:len(s)-1]
	}
	d.bytes = d.bytes[:0]
	var err error
	for _, enc := range [...]*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if d.bytes, err = enc.AppendDecode(d.bytes[:0], s); err == nil {
			return d.bytes
		}
	}
	r.fail("bytes are not base64")
	return nil
}

// jsonAny copies an AnyValue that is inside an array or map.
func (w *jsonWriter) jsonAny(r *jsonReader, depth int) {
	start := len(w.buf)
	for more := r.begin('{'); more; more = r.more('}') {
		key := string(r.key())
		if w.cut {
			r.skip() // there is no room for it, and there will be none
			continue
		}
		w.buf = w.buf[:start]
		switch key {
		case "stringValue":
			w.string(r.text())
		case "boolValue":
			w.buf = strconv.AppendBool(w.buf, r.bool())
		case "intValue":
			w.buf = strconv.AppendInt(w.buf, r.signed(), 10)
		case "doubleValue":
			w.float(r.float())
		case "bytesValue":
			w.base64(w.d.base64(r))
		case "arrayValue":
			w.jsonList(r, depth)
		case "kvlistValue":
			w.jsonMap(r, depth)
		default:
			r.skip()
		}
	}
	if len(w.buf) == start {
		w.null()
	}
}

func (w *jsonWriter) jsonList(r *jsonReader, depth int) {
	if w.tooDeep(depth) {
		r.skip()
		return
	}
	w.buf = append(w.buf, '[')
	n := 0
	for more := r.begin('{'); more; more = r.more('}') {
		if string(r.key()) != "values" {
			r.skip()
			continue
		}
		for more := r.begin('['); more; more = r.more(']') {
			if !w.room(8) {
				r.skip()
				continue
			}
			if n++; n > 1 {
				w.buf = append(w.buf, ',')
			}
			w.jsonAny(r, depth+1)
		}
	}
	w.buf = append(w.buf, ']')
}

func (w *jsonWriter) jsonMap(r *jsonReader, depth int) {
	if w.tooDeep(depth) {
		r.skip()
		return
	}
	w.buf = append(w.buf, '{')
	n := 0
	for more := r.begin('{'); more; more = r.more('}') {
		if string(r.key()) != "values" {
			r.skip()
			continue
		}
		for more := r.begin('['); more; more = r.more(']') {
			n = w.jsonMember(r, n, depth)
		}
	}
	w.buf = append(w.buf, '}')
}

// jsonMember copies a KeyValue of a map, the nth, and returns how many there
// are. Its value is read once its key is known, whichever comes first.
func (w *jsonWriter) jsonMember(r *jsonReader, n, depth int) int {
	start, value := len(w.buf), 0
	for more := r.begin('{'); more; more = r.more('}') {
		switch string(r.key()) {
		case "key":
			key := r.text()
			w.buf = w.buf[:start]
			if !w.room(len(key) + 12) {
				continue
			}
			if n > 0 {
				w.buf = append(w.buf, ',')
			}
			w.string(key)
			w.buf = append(w.buf, ':')
		case "value":
			value = r.at
			r.skip()
		default:
			r.skip()
		}
	}
	if len(w.buf) == start || r.err != nil {
		return n
	}
	if value == 0 {
		w.null()
		return n + 1
	}
	after := r.at
	r.at = value
	w.jsonAny(r, depth+1)
	if r.err == nil {
		r.at = after
	}
	return n + 1
}
