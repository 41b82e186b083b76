package rls

import (
	"errors"
	"unicode/utf8"

	"github.com/binnacle-mesh/binnacle/internal/pb"
	"github.com/binnacle-mesh/binnacle/quota"
	"github.com/binnacle-mesh/binnacle/quota/rule"
)

// Field numbers are those of envoy/service/ratelimit/v3/rls.proto and envoy/extensions/common/ratelimit/v3/ratelimit.proto. What
// the generated code does is done here too: unknown fields, and known ones of another wire type, are skipped; of a scalar that
// stands twice the last counts, and a message that stands twice is merged; text must be UTF-8.

var (
	errMalformed = errors.New("quota/rls: the request is not a RateLimitRequest; send envoy.service.ratelimit.v3")
	errTooLarge  = errors.New("quota/rls: the request has more than 128 KiB, 128 descriptors or 1024 entries; send fewer, or shorter values")
)

// Proxies send a handful. The bound keeps one request from holding the counters' locks, or memory, for long.
const (
	maxDescriptors = 128
	maxEntries     = 1024
	// maxBytes is twice what Envoy takes as headers of a request (60 KiB), of which descriptors are made. What is below is hashed: a value
	// of 10 kB costs its key some microseconds, and no memory.
	maxBytes = 128 << 10
)

// decode reads b into c.req, whose texts then point into b.
func (c *call) decode(b []byte) error {
	c.req.Domain, c.req.Hits = nil, 0
	c.req.Descriptors, c.entries = c.req.Descriptors[:0], c.entries[:0]
	if len(b) > maxBytes {
		return errTooLarge
	}
	r := pb.Over(b)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Bytes:
			if c.req.Domain = r.Bytes(); !utf8.Valid(c.req.Domain) {
				return errMalformed
			}
		case 2<<3 | pb.Bytes:
			if len(c.req.Descriptors) == maxDescriptors {
				return errTooLarge
			}
			c.req.Descriptors = append(c.req.Descriptors, quota.Descriptor{})
			if err := c.descriptor(r.Bytes(), &c.req.Descriptors[len(c.req.Descriptors)-1]); err != nil {
				return err
			}
		case 3<<3 | pb.Varint:
			c.req.Hits = uint32(r.Uint)
		}
	}
	return malformed(r.Err)
}

// malformed is the error of a walk that ended with err.
func malformed(err error) error {
	if err != nil {
		return errMalformed
	}
	return nil
}

func (c *call) descriptor(b []byte, d *quota.Descriptor) error {
	first := len(c.entries)
	r := pb.Over(b)
	for r.Next() {
		var err error
		switch r.Tag {
		case 1<<3 | pb.Bytes:
			if len(c.entries) == maxEntries {
				return errTooLarge
			}
			c.entries = append(c.entries, rule.Entry{})
			err = entry(r.Bytes(), &c.entries[len(c.entries)-1])
		case 2<<3 | pb.Bytes:
			d.OwnLimit = true
			err = override(r.Bytes(), &d.Override)
		case 3<<3 | pb.Bytes:
			d.OwnHits = true
			err = wrapped(r.Bytes(), &d.Hits)
		case 4<<3 | pb.Varint:
			d.Negative = r.Uint != 0
		}
		if err != nil {
			return err
		}
	}
	// Growing c.entries leaves the slices of earlier descriptors on the old array, whose content stays.
	d.Entries = c.entries[first:len(c.entries):len(c.entries)]
	return malformed(r.Err)
}

func entry(b []byte, e *rule.Entry) error {
	r := pb.Over(b)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Bytes:
			e.Key = r.Bytes()
		case 2<<3 | pb.Bytes:
			e.Value = r.Bytes()
		default:
			continue
		}
		if !utf8.Valid(r.Bytes()) {
			return errMalformed
		}
	}
	return malformed(r.Err)
}

func override(b []byte, l *rule.Limit) error {
	r := pb.Over(b)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Varint:
			l.RequestsPerUnit = uint32(r.Uint)
		case 2<<3 | pb.Varint:
			if l.Unit = rule.UnknownUnit; int32(r.Uint) > 0 && int32(r.Uint) < 256 {
				l.Unit = rule.Unit(r.Uint)
			}
		case 3<<3 | pb.Bytes:
			multiplier := uint64(l.Multiplier)
			if err := wrapped(r.Bytes(), &multiplier); err != nil {
				return err
			}
			l.Multiplier = uint32(multiplier)
		}
	}
	return malformed(r.Err)
}

// wrapped reads a google.protobuf.UInt64Value or UInt32Value.
func wrapped(b []byte, v *uint64) error {
	r := pb.Over(b)
	for r.Next() {
		if r.Tag == 1<<3|pb.Varint {
			*v = r.Uint
		}
	}
	return malformed(r.Err)
}
