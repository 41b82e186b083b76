package rls

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/binnacle-mesh/binnacle/internal/pb"
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
	b = pb.AppendNonZero(b, 1, code(d.Over))
	for i := range d.Statuses {
		var at int
		b, at = pb.Open(b, 2)
		b = appendStatus(b, &d.Statuses[i])
		b = pb.Shut(b, at)
	}
	if h := &d.Config.Headers; d.Closest >= 0 && (h.Enabled || h.Standard) {
		b = appendHeaders(b, h, &d.Statuses[d.Closest])
	}
	if d.Config.DynamicMetadata {
		m, err := proto.Marshal(metadata(&c.req, d))
		if err != nil {
			return b, fmt.Errorf("quota/rls: encode dynamic metadata: %w; turn dynamic_metadata off, or correct the rules' metadata", err)
		}
		b = pb.AppendBytes(b, 6, m)
	}
	return b, nil
}

func appendStatus(b []byte, a *quota.Answer) []byte {
	b = pb.AppendNonZero(b, 1, code(a.Over))
	if l := a.Limit; l != nil && !a.Failed {
		var at int
		b, at = pb.Open(b, 2)
		b = appendLimit(b, l)
		b = pb.Shut(b, at)
	}
	b = pb.AppendNonZero(b, 3, uint64(a.Remaining))
	if a.Limit != nil && !a.Failed {
		var at int
		b, at = pb.Open(b, 4) // google.protobuf.Duration
		b = pb.AppendNonZero(b, 1, uint64(a.Reset))
		b = pb.Shut(b, at)
	}
	return b
}

func appendLimit(b []byte, l *rule.Limit) []byte {
	b = pb.AppendNonZero(b, 1, uint64(l.RequestsPerUnit))
	b = pb.AppendNonZero(b, 2, uint64(l.Unit))
	if l.Name != "" {
		b = pb.AppendBytes(b, 3, l.Name)
	}
	if l.Multiplier > 0 {
		var at int
		b, at = pb.Open(b, 4) // google.protobuf.UInt32Value
		b = pb.AppendNonZero(b, 1, uint64(l.Multiplier))
		b = pb.Shut(b, at)
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
	b, at := pb.Open(b, 3)
	b = pb.AppendBytes(b, 1, key)
	b = pb.AppendBytes(b, 2, value)
	return pb.Shut(b, at)
}
