package jsonout

import (
	"encoding/json"
	"math"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Attribute writes an attribute's value with its own type. An array or a map is
// kept as JSON text and is written as it is.
func (j *Writer) Attribute(b *telemetry.Batch, a telemetry.Attr) {
	switch a.Type {
	case telemetry.AttrInt:
		j.Int(int64(a.Value))
	case telemetry.AttrFloat:
		j.Float(math.Float64frombits(a.Value))
	case telemetry.AttrBool:
		j.Bool(a.Value != 0)
	case telemetry.AttrBytes:
		j.Base64(b.Bytes(a.String()))
	case telemetry.AttrJSON:
		if s := b.Bytes(a.String()); json.Valid(s) {
			j.Raw(b.Str(a.String()))
			return
		}
		j.Text(b.Str(a.String()))
	default:
		j.Text(b.Str(a.String()))
	}
}

// Attributes writes a run of attributes as an object.
func (j *Writer) Attributes(b *telemetry.Batch, r telemetry.Range) {
	j.Open('{')
	for _, a := range b.AttrsOf(r) {
		j.TextKey(b.Str(a.Key))
		j.Attribute(b, a)
	}
	j.Close('}')
}
