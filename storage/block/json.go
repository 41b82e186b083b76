package block

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Attributes without a column of their own, those of resources, events and links,
// are JSON that every tool reads, and that gives back exactly what went in:
//
//   - a string, integer, boolean, array or map is its JSON; a number is an integer
//     unless it has a point or an exponent, which a float always has;
//   - what JSON has no form for is an object with one key that begins with $:
//     {"$bytes": base64}, {"$string": base64} (not UTF-8), {"$double": bits in hex} (not
//     finite), {"$json": text} (JSON that cannot stand for itself);
//   - a key that begins with $ has another $ before it; one that is not UTF-8 is
//     "$base64:" and its base64;
//   - a key may come twice, as it may on the wire.
//
// docs/format/block.md says the same to those who read the files.

// jsonWriter appends JSON to b.
type jsonWriter struct{ b []byte }

// attrs writes the object of a run of pairs that ends with colEnd.
func (w *jsonWriter) attrs(v *headView, p []byte) []byte {
	w.b = append(w.b, '{')
	n := 0
	for {
		x, rest, ok := v.next(p, nil)
		p = rest
		if !ok {
			break
		}
		w.member(v, x, n)
		n++
	}
	w.b = append(w.b, '}')
	return p
}

// pairs writes the object of some pairs.
func (w *jsonWriter) pairs(v *headView, xs []pair) {
	w.b = append(w.b, '{')
	for i, x := range xs {
		w.member(v, x, i)
	}
	w.b = append(w.b, '}')
}

func (w *jsonWriter) member(v *headView, x pair, n int) {
	if n > 0 {
		w.b = append(w.b, ',')
	}
	k := v.keys[x.col-colDynamic]
	w.key(v.strings.bytes(k.name))
	w.b = append(w.b, ':')
	w.value(v, k.typ, x.bits)
}

func (w *jsonWriter) key(k []byte) {
	switch {
	case !utf8.Valid(k):
		w.b = append(w.b, `"$base64:`...)
		w.b = base64.StdEncoding.AppendEncode(w.b, k)
		w.b = append(w.b, '"')
	case len(k) > 0 && k[0] == '$':
		at := len(w.b)
		w.text(k)
		w.b = append(w.b, 0)
		copy(w.b[at+2:], w.b[at+1:])
		w.b[at+1] = '$'
	default:
		w.text(k)
	}
}

func (w *jsonWriter) value(v *headView, t telemetry.AttrType, bits uint64) {
	switch t {
	case telemetry.AttrInt:
		w.b = strconv.AppendInt(w.b, int64(bits), 10)
	case telemetry.AttrFloat:
		w.float(bits)
	case telemetry.AttrBool:
		w.b = strconv.AppendBool(w.b, bits != 0)
	case telemetry.AttrBytes:
		w.wrapped("$bytes", v.strings.bytes(uint32(bits)))
	case telemetry.AttrJSON:
		w.json(v.strings.bytes(uint32(bits)))
	default:
		w.str(v.strings.bytes(uint32(bits)))
	}
}

func (w *jsonWriter) str(s []byte) {
	if utf8.Valid(s) {
		w.text(s)
	} else {
		w.wrapped("$string", s)
	}
}

func (w *jsonWriter) wrapped(key string, s []byte) {
	w.b = append(append(append(w.b, `{"`...), key...), `":"`...)
	w.b = base64.StdEncoding.AppendEncode(w.b, s)
	w.b = append(w.b, `"}`...)
}

func (w *jsonWriter) float(bits uint64) {
	f := math.Float64frombits(bits)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.b = append(w.b, `{"$double":"`...)
		w.b = hex.AppendEncode(w.b, binary.BigEndian.AppendUint64(nil, bits))
		w.b = append(w.b, `"}`...)
		return
	}
	at := len(w.b)
	w.b = strconv.AppendFloat(w.b, f, 'g', -1, 64)
	for _, c := range w.b[at:] {
		if c == '.' || c == 'e' {
			return
		}
	}
	w.b = append(w.b, '.', '0')
}

// json writes JSON as it is where a reader will know it for JSON again: an array, or
// a map that does not look like one of our own objects.
func (w *jsonWriter) json(s []byte) {
	switch {
	case len(s) >= 2 && (s[0] == '[' && s[len(s)-1] == ']' || s[0] == '{' && s[len(s)-1] == '}' && plainFirstKey(s)) && utf8.Valid(s) && json.Valid(s):
		w.b = append(w.b, s...)
	case utf8.Valid(s):
		w.b = append(w.b, `{"$json":`...)
		w.text(s)
		w.b = append(w.b, '}')
	default:
		w.wrapped("$json64", s)
	}
}

// plainFirstKey says that a map is empty or has a first key without $ and escapes.
func plainFirstKey(s []byte) bool {
	for i := 1; i+1 < len(s); i++ {
		switch s[i] {
		case ' ', '\t', '\r', '\n':
			continue
		case '"':
			return s[i+1] != '$' && s[i+1] != '\\'
		}
		return false
	}
	return true
}

func (w *jsonWriter) text(s []byte) {
	const hexDigits = "0123456789abcdef"
	w.b = append(w.b, '"')
	from := 0
	for i, c := range s {
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		w.b = append(w.b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			w.b = append(w.b, '\\', c)
		case '\n':
			w.b = append(w.b, '\\', 'n')
		case '\t':
			w.b = append(w.b, '\\', 't')
		default:
			w.b = append(w.b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	w.b = append(append(w.b, s[from:]...), '"')
}

// events writes the array of a row's events, and returns what follows them.
func (w *jsonWriter) events(v *headView, x pair) []byte {
	p := x.data
	for i := range int(x.bits) {
		w.open(i)
		w.b = append(w.b, `{"time":`...)
		w.b = strconv.AppendInt(w.b, int64(binary.LittleEndian.Uint64(p)), 10)
		var name uint64
		name, p = uvarint(p[8:])
		w.b = append(w.b, `,"name":`...)
		w.str(v.strings.bytes(uint32(name)))
		w.b = append(w.b, `,"attributes":`...)
		p = w.attrs(v, p)
		w.b = append(w.b, '}')
	}
	w.b = append(w.b, ']')
	return p
}

// links is events for links.
func (w *jsonWriter) links(v *headView, x pair) []byte {
	p := x.data
	for i := range int(x.bits) {
		w.open(i)
		w.b = append(w.b, `{"trace_id":"`...)
		w.b = hex.AppendEncode(w.b, p[:16])
		w.b = append(w.b, `","span_id":"`...)
		w.b = hex.AppendEncode(w.b, p[16:24])
		w.b = append(w.b, `","attributes":`...)
		p = w.attrs(v, p[24:])
		w.b = append(w.b, '}')
	}
	w.b = append(w.b, ']')
	return p
}

func (w *jsonWriter) open(i int) {
	if i == 0 {
		w.b = append(w.b, '[')
	} else {
		w.b = append(w.b, ',')
	}
}

var errJSON = errors.New("attributes are not the JSON that this store writes")

// jsonReader reads what jsonWriter wrote. After an error, in holds nothing.
type jsonReader struct {
	in  []byte
	err error
}

func (r *jsonReader) fail() {
	r.in, r.err = nil, errJSON
}

// take passes over the byte c.
func (r *jsonReader) take(c byte) bool {
	if len(r.in) == 0 || r.in[0] != c {
		return false
	}
	r.in = r.in[1:]
	return true
}

func (r *jsonReader) expect(s string) {
	if len(r.in) < len(s) || string(r.in[:len(s)]) != s {
		r.fail()
		return
	}
	r.in = r.in[len(s):]
}

// raw takes one value as it stands.
func (r *jsonReader) raw() []byte {
	depth, quoted := 0, false
	for i := 0; i < len(r.in); i++ {
		switch c := r.in[i]; {
		case quoted:
			switch c {
			case '\\':
				i++
			case '"':
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '[' || c == '{':
			depth++
			continue
		case c == ']' || c == '}' || c == ',':
			if depth == 0 {
				s := r.in[:i]
				r.in = r.in[i:]
				return s
			}
			if c != ',' {
				depth--
			}
		default:
			continue
		}
		if depth == 0 && !quoted {
			if i++; i > len(r.in) {
				break
			}
			s := r.in[:i]
			r.in = r.in[i:]
			return s
		}
	}
	if depth > 0 || quoted {
		r.fail()
		return nil
	}
	s := r.in
	r.in = nil
	return s
}

// str reads a string.
func (r *jsonReader) str() []byte {
	s := r.raw()
	if len(s) < 2 || s[0] != '"' {
		r.fail()
		return nil
	}
	for _, c := range s {
		if c == '\\' {
			var text string
			if json.Unmarshal(s, &text) != nil {
				r.fail()
				return nil
			}
			return []byte(text)
		}
	}
	return s[1 : len(s)-1]
}

// attrs reads an object of attributes and hands them to put.
func (r *jsonReader) attrs(put func(key []byte, t telemetry.AttrType, text []byte, bits uint64)) {
	if r.expect("{"); r.take('}') {
		return
	}
	for r.err == nil {
		key := r.key()
		r.expect(":")
		t, text, bits := r.value()
		if r.err != nil {
			return
		}
		put(key, t, text, bits)
		if !r.take(',') {
			r.expect("}")
			return
		}
	}
}

func (r *jsonReader) key() []byte {
	k := r.str()
	if len(k) == 0 || k[0] != '$' {
		return k
	}
	if len(k) > 1 && k[1] == '$' {
		return k[1:]
	}
	const prefix = "$base64:"
	if len(k) < len(prefix) || string(k[:len(prefix)]) != prefix {
		r.fail()
		return nil
	}
	return r.base64(k[len(prefix):])
}

func (r *jsonReader) base64(s []byte) []byte {
	b, err := base64.StdEncoding.AppendDecode(nil, s)
	if err != nil {
		r.fail()
	}
	return b
}

// value reads one value: text where its type is kept as text, bits otherwise.
func (r *jsonReader) value() (t telemetry.AttrType, text []byte, bits uint64) {
	if len(r.in) == 0 {
		r.fail()
		return 0, nil, 0
	}
	switch c := r.in[0]; c {
	case '"':
		return telemetry.AttrString, r.str(), 0
	case '[':
		return telemetry.AttrJSON, r.raw(), 0
	case '{':
		if len(r.in) > 2 && r.in[1] == '"' && r.in[2] == '$' {
			return r.wrapped()
		}
		return telemetry.AttrJSON, r.raw(), 0
	}
	s := string(r.raw())
	switch s {
	case "true":
		return telemetry.AttrBool, nil, 1
	case "false":
		return telemetry.AttrBool, nil, 0
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return telemetry.AttrInt, nil, uint64(i)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		r.fail()
	}
	return telemetry.AttrFloat, nil, math.Float64bits(f)
}

func (r *jsonReader) wrapped() (t telemetry.AttrType, text []byte, bits uint64) {
	r.expect("{")
	key := string(r.str())
	r.expect(":")
	s := r.str()
	r.expect("}")
	if r.err != nil {
		return 0, nil, 0
	}
	switch key {
	case "$bytes":
		return telemetry.AttrBytes, r.base64(s), 0
	case "$string":
		return telemetry.AttrString, r.base64(s), 0
	case "$json":
		return telemetry.AttrJSON, s, 0
	case "$json64":
		return telemetry.AttrJSON, r.base64(s), 0
	case "$double":
		b, err := hex.AppendDecode(nil, s)
		if err != nil || len(b) != 8 {
			r.fail()
			return 0, nil, 0
		}
		return telemetry.AttrFloat, nil, binary.BigEndian.Uint64(b)
	default:
		r.fail()
		return 0, nil, 0
	}
}
