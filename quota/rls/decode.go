package rls

import (
	"errors"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/binnacle-mesh/binnacle/quota"
	"github.com/binnacle-mesh/binnacle/quota/rule"
)

// Field numbers are those of envoy/service/ratelimit/v3/rls.proto and envoy/extensions/common/ratelimit/v3/ratelimit.proto. What
// the generated code does is done here too: unknown fields, and known ones of another wire type, are skipped; of a scalar that
// stands twice the last counts, and a message that stands twice is merged; text must be UTF-8.

var (
	errMalformed = errors.New("quota/rls: the request is not a RateLimitRequest; send envoy.service.ratelimit.v3")
	errTooLarge  = errors.New("quota/rls: the request has more than 128 descriptors or 1024 entries; send fewer")
)

// Proxies send a handful. The bound keeps one request from holding the counters' locks, or memory, for long.
const (
	maxDescriptors = 128
	maxEntries     = 1024
)

// decode reads b into c.req, whose texts then point into b.
func (c *call) decode(b []byte) error {
	c.req.Domain, c.req.Hits = nil, 0
	c.req.Descriptors, c.entries = c.req.Descriptors[:0], c.entries[:0]
	for len(b) > 0 {
		f, rest, ok := next(b)
		if !ok {
			return errMalformed
		}
		b = rest
		switch {
		case f.is(1, protowire.BytesType):
			if !utf8.Valid(f.bytes) {
				return errMalformed
			}
			c.req.Domain = f.bytes
		case f.is(2, protowire.BytesType):
			if len(c.req.Descriptors) == maxDescriptors {
				return errTooLarge
			}
			c.req.Descriptors = append(c.req.Descriptors, quota.Descriptor{})
			if err := c.descriptor(f.bytes, &c.req.Descriptors[len(c.req.Descriptors)-1]); err != nil {
				return err
			}
		case f.is(3, protowire.VarintType):
			c.req.Hits = uint32(f.varint)
		}
	}
	return nil
}

func (c *call) descriptor(b []byte, d *quota.Descriptor) error {
	first := len(c.entries)
	for len(b) > 0 {
		f, rest, ok := next(b)
		if !ok {
			return errMalformed
		}
		b = rest
		switch {
		case f.is(1, protowire.BytesType):
			if len(c.entries) == maxEntries {
				return errTooLarge
			}
			c.entries = append(c.entries, rule.Entry{})
			if !entry(f.bytes, &c.entries[len(c.entries)-1]) {
				return errMalformed
			}
		case f.is(2, protowire.BytesType):
			d.OwnLimit = true
			if !override(f.bytes, &d.Override) {
				return errMalformed
			}
		case f.is(3, protowire.BytesType):
			d.OwnHits = true
			if !wrapped(f.bytes, &d.Hits) {
				return errMalformed
			}
		case f.is(4, protowire.VarintType):
			d.Negative = protowire.DecodeBool(f.varint)
		}
	}
	// Growing c.entries leaves the slices of earlier descriptors on the old array, whose content stays.
	d.Entries = c.entries[first:len(c.entries):len(c.entries)]
	return nil
}

func entry(b []byte, e *rule.Entry) bool {
	for len(b) > 0 {
		f, rest, ok := next(b)
		if !ok {
			return false
		}
		b = rest
		switch {
		case f.is(1, protowire.BytesType):
			e.Key = f.bytes
		case f.is(2, protowire.BytesType):
			e.Value = f.bytes
		default:
			continue
		}
		if !utf8.Valid(f.bytes) {
			return false
		}
	}
	return true
}

func override(b []byte, l *rule.Limit) bool {
	for len(b) > 0 {
		f, rest, ok := next(b)
		if !ok {
			return false
		}
		b = rest
		switch {
		case f.is(1, protowire.VarintType):
			l.RequestsPerUnit = uint32(f.varint)
		case f.is(2, protowire.VarintType):
			if l.Unit = rule.UnknownUnit; int32(f.varint) > 0 && int32(f.varint) < 256 {
				l.Unit = rule.Unit(f.varint)
			}
		case f.is(3, protowire.BytesType):
			multiplier := uint64(l.Multiplier)
			if !wrapped(f.bytes, &multiplier) {
				return false
			}
			l.Multiplier = uint32(multiplier)
		}
	}
	return true
}

// wrapped reads a google.protobuf.UInt64Value or UInt32Value.
func wrapped(b []byte, v *uint64) bool {
	for len(b) > 0 {
		f, rest, ok := next(b)
		if !ok {
			return false
		}
		b = rest
		if f.is(1, protowire.VarintType) {
			*v = f.varint
		}
	}
	return true
}

// field is one field of a message; varint or bytes are set according to its type.
type field struct {
	number protowire.Number
	kind   protowire.Type
	varint uint64
	bytes  []byte
}

func (f *field) is(number protowire.Number, kind protowire.Type) bool {
	return f.number == number && f.kind == kind
}

// next cuts the first field off a message.
func next(b []byte) (f field, rest []byte, ok bool) {
	var n int
	if f.number, f.kind, n = protowire.ConsumeTag(b); n < 0 || f.number > protowire.MaxValidNumber {
		return f, nil, false
	}
	b = b[n:]
	switch f.kind {
	case protowire.VarintType:
		f.varint, n = protowire.ConsumeVarint(b)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(b)
	default:
		n = protowire.ConsumeFieldValue(f.number, f.kind, b)
	}
	if n < 0 {
		return f, nil, false
	}
	return f, b[n:], true
}
