package otlpjson

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// keyValue writes an attribute as a KeyValue.
func keyValue(j *jsonout.Writer, b *telemetry.Batch, a telemetry.Attr) {
	j.Open('{')
	j.Field("key", b.Str(a.Key))
	j.Key("value")
	switch a.Type {
	case telemetry.AttrString:
		textValue(j, b.Str(a.String()))
	case telemetry.AttrJSON:
		jsonValue(j, b.Str(a.String()))
	default:
		j.Open('{')
		scalar(j, b, a)
		j.Close('}')
	}
	j.Close('}')
}

func scalar(j *jsonout.Writer, b *telemetry.Batch, a telemetry.Attr) {
	switch a.Type {
	case telemetry.AttrInt:
		j.Key("intValue").Quoted(int64(a.Value))
	case telemetry.AttrFloat:
		j.Key("doubleValue").Float(math.Float64frombits(a.Value))
	case telemetry.AttrBool:
		j.Key("boolValue").Bool(a.Value != 0)
	default:
		j.Key("bytesValue").Base64(b.Bytes(a.String()))
	}
}

// textValue writes text as an AnyValue.
func textValue(j *jsonout.Writer, s string) {
	j.Open('{')
	j.Field("stringValue", s)
	j.Close('}')
}

// jsonValue turns the text of an array or a map back into an AnyValue. Text that is
// no JSON, which a decoder does not make, is written as text.
func jsonValue(j *jsonout.Writer, s string) {
	if !json.Valid([]byte(s)) {
		textValue(j, s)
		return
	}
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	nextValue(j, d)
}

// token is the next of d, whose text is valid, so that none fails.
func token(d *json.Decoder) json.Token {
	t, err := d.Token()
	if err != nil {
		panic("BUG: otlpjson: valid JSON does not decode: " + err.Error())
	}
	return t
}

// nextValue writes the next value of d as an AnyValue.
func nextValue(j *jsonout.Writer, d *json.Decoder) {
	j.Open('{')
	switch v := token(d).(type) {
	case string:
		j.Field("stringValue", v)
	case bool:
		j.Key("boolValue").Bool(v)
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			j.Key("intValue").Quoted(n)
		} else {
			j.Key("doubleValue").Raw(v.String())
		}
	case json.Delim:
		listValue(j, d, v)
	}
	j.Close('}')
}

// listValue writes the rest of an array or a map, whose bracket is read.
func listValue(j *jsonout.Writer, d *json.Decoder, bracket json.Delim) {
	name := "arrayValue"
	if bracket == '{' {
		name = "kvlistValue"
	}
	j.Key(name).Open('{')
	j.Key("values").Open('[')
	for d.More() {
		if bracket == '[' {
			nextValue(j, d)
			continue
		}
		j.Open('{')
		j.Field("key", token(d).(string)) // JSON has no other keys
		nextValue(j.Key("value"), d)
		j.Close('}')
	}
	token(d) // the closing bracket
	j.Close(']')
	j.Close('}')
}
