package block

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// assembler builds the batch of one trace out of rows of heads and blocks.
type assembler struct {
	b         *telemetry.Batch
	resources map[resourceKey]uint32
	held      int64 // bytes of the batch that are counted
}

// resourceKey is a resource as its columns say it.
type resourceKey struct {
	identity telemetry.Identity
	attrs    string // JSON
}

func newAssembler() *assembler {
	return &assembler{b: telemetry.NewBatch(), resources: map[resourceKey]uint32{}}
}

// resource is the index of the resource with the identity and the JSON.
func (a *assembler) resource(k resourceKey) (uint32, error) {
	if i, ok := a.resources[k]; ok {
		return i, nil
	}
	r := telemetry.Resource{Identity: k.identity}
	if k.attrs != "" {
		var err error
		if r.Attrs, _, err = a.attrsOf(&jsonReader{in: []byte(k.attrs)}); err != nil {
			return 0, err
		}
	}
	i := uint32(len(a.b.Resources))
	a.b.Resources = append(a.b.Resources, r)
	a.resources[k] = i
	return i, nil
}

// attrsOf reads an object of attributes into the batch.
func (a *assembler) attrsOf(r *jsonReader) (telemetry.Range, *jsonReader, error) {
	start := uint32(len(a.b.Attrs))
	r.attrs(func(key []byte, t telemetry.AttrType, text []byte, bits uint64) {
		a.b.Attrs = append(a.b.Attrs, a.attr(key, t, text, bits))
	})
	return a.since(start), r, r.err
}

func (a *assembler) since(start uint32) telemetry.Range {
	if n := uint32(len(a.b.Attrs)) - start; n > 0 {
		return telemetry.Range{Start: start, Len: n}
	}
	return telemetry.Range{}
}

func (a *assembler) attr(key []byte, t telemetry.AttrType, text []byte, bits uint64) telemetry.Attr {
	switch t {
	case telemetry.AttrInt, telemetry.AttrFloat, telemetry.AttrBool:
	default:
		bits = uint64(a.b.Intern(text))
	}
	return telemetry.Attr{Key: a.b.Intern(key), Type: t, Value: bits}
}

func (a *assembler) put(attrs []telemetry.Attr) telemetry.Range {
	start := uint32(len(a.b.Attrs))
	a.b.Attrs = append(a.b.Attrs, attrs...)
	return a.since(start)
}
