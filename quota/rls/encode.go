package rls

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/binnacle-mesh/binnacle/quota"
	"github.com/binnacle-mesh/binnacle/quota/rule"
)

// Codes of RateLimitResponse. UNKNOWN (0) is never sent.
const (
	codeOK        = 1
	codeOverLimit = 2
)

func code(over bool) uint64 {
	if over {
		return codeOverLimit
	}
	return codeOK
}

// encode appends the decision as a RateLimitResponse: one status for each descriptor, and what the configuration adds.
func (c *call) encode(b []byte) ([]byte, error) {
	d := &c.decision
	b = appendVarint(b, 1, code(d.Over))
	for i := range d.Statuses {
		var at int
		b, at = open(b, 2)
		b = appendStatus(b, &d.Statuses[i])
		b = shut(b, at)
	}
	if h := &d.Config.Headers; d.Closest >= 0 && (h.Enabled || h.Standard) {
		b = appendHeaders(b, h, &d.Statuses[d.Closest])
	}
	if d.Config.DynamicMetadata {
		m, err := proto.Marshal(metadata(&c.req, d))
		if err != nil {
			return b, fmt.Errorf("quota/rls: encode dynamic metadata: %w; turn dynamic_metadata off, or correct the rules' metadata", err)
		}
		b = protowire.AppendTag(b, 6, protowire.BytesType)
		b = protowire.AppendBytes(b, m)
	}
	return b, nil
}

func appendStatus(b []byte, a *quota.Answer) []byte {
	b = appendVarint(b, 1, code(a.Over))
	if l := a.Limit; l != nil && !a.Failed {
		var at int
		b, at = open(b, 2)
		b = appendLimit(b, l)
		b = shut(b, at)
	}
	b = appendVarint(b, 3, uint64(a.Remaining))
	if a.Limit != nil && !a.Failed {
		var at int
		b, at = open(b, 4) // google.protobuf.Duration
		b = appendVarint(b, 1, uint64(a.Reset))
		b = shut(b, at)
	}
	return b
}

func appendLimit(b []byte, l *rule.Limit) []byte {
	b = appendVarint(b, 1, uint64(l.RequestsPerUnit))
	b = appendVarint(b, 2, uint64(l.Unit))
	if l.Name != "" {
		b = protowire.AppendTag(b, 3, protowire.BytesType)
		b = protowire.AppendString(b, l.Name)
	}
	if l.Multiplier > 0 {
		var at int
		b, at = open(b, 4) // google.protobuf.UInt32Value
		b = appendVarint(b, 1, uint64(l.Multiplier))
		b = shut(b, at)
	}
	return b
}

// appendHeaders appends response_headers_to_add.
func appendHeaders(b []byte, h *quota.HeaderConfig, a *quota.Answer) []byte {
	var text [128]byte
	if h.Enabled {
		b = appendHeader(b, h.Limit, strconv.AppendUint(text[:0], uint64(a.Limit.RequestsPerUnit), 10))
		b = appendHeader(b, h.Remaining, strconv.AppendUint(text[:0], uint64(a.Remaining), 10))
		b = appendHeader(b, h.Reset, strconv.AppendInt(text[:0], a.Reset, 10))
	}
	if h.Standard {
		b = appendHeader(b, "RateLimit-Policy", appendPolicy(text[:0], a))
		b = appendHeader(b, "RateLimit", appendServiceLimit(text[:0], a))
	}
	return b
}

// appendPolicy writes the item of RateLimit-Policy: "name";q=quota;w=seconds.
func appendPolicy(b []byte, a *quota.Answer) []byte {
	b = appendPolicyName(b, a)
	b = strconv.AppendUint(append(b, ";q="...), uint64(a.Limit.RequestsPerUnit), 10)
	return strconv.AppendUint(append(b, ";w="...), uint64(a.Limit.Window()), 10)
}

// appendServiceLimit writes the item of RateLimit: "name";r=remaining;t=seconds until it starts again.
func appendServiceLimit(b []byte, a *quota.Answer) []byte {
	b = appendPolicyName(b, a)
	b = strconv.AppendUint(append(b, ";r="...), uint64(a.Remaining), 10)
	return strconv.AppendInt(append(b, ";t="...), a.Reset, 10)
}

// appendPolicyName writes a limit's name as a string of RFC 9651: printable ASCII, quotes and backslashes escaped. A rule's place
// in the tree is not told to clients; an unnamed limit is "default".
func appendPolicyName(b []byte, a *quota.Answer) []byte {
	name := a.Limit.Name
	if name == "" || len(name) > 64 {
		name = "default"
	}
	b = append(b, '"')
	for i := range len(name) {
		switch c := name[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func appendHeader(b []byte, key string, value []byte) []byte {
	b, at := open(b, 3)
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendString(b, key)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendBytes(b, value)
	return shut(b, at)
}

// appendVarint appends a scalar, which proto3 leaves out when it is zero.
func appendVarint(b []byte, number protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

// open begins a message within a message and leaves a byte for its length; shut fills it in, moving the content for the rare one
// that is longer than 127 bytes.
func open(b []byte, number protowire.Number) ([]byte, int) {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return append(b, 0), len(b) + 1
}

func shut(b []byte, at int) []byte {
	n := len(b) - at
	if n < 128 {
		b[at-1] = byte(n)
		return b
	}
	var length [10]byte
	l := protowire.AppendVarint(length[:0], uint64(n))
	b = append(b, l[1:]...) // make room
	copy(b[at-1+len(l):], b[at:at+n])
	copy(b[at-1:], l)
	return b
}
