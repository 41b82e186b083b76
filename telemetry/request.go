package telemetry

import (
	"math/bits"
	"strings"
)

// A Request is one entry of a proxy's request log: what Envoy calls an
// access log entry, and Mixer a report.
type Request struct {
	TraceID TraceID // zero where the log does not carry one
	// SpanID is the span that the reporting proxy itself made for the request,
	// as the traceparent header that it sent on names it.
	SpanID   SpanID
	Start    int64 // Unix nanoseconds
	Duration int64 // nanoseconds until the last byte was sent downstream, never negative

	Resource  uint32   // index into Batch.Resources: the workload whose proxy reports
	Peer      Identity // the other end, as far as the entry names it
	PeerKind  NodeKind
	Side      Side // client: the proxy of the caller; server: of the callee
	Protocol  Protocol
	TLS       TLS
	Outcome   Outcome
	Response  ResponseFlags
	Code      int32 // HTTP status, or gRPC status where Protocol is gRPC; -1 unknown; 0 for TCP
	Method    StrID
	Path      StrID
	Authority StrID
	RequestID RequestID
	Route     StrID
	Cluster   StrID // upstream cluster as the proxy names it
	Upstream  Address
	Remote    Address // downstream
	Attempts  uint32
	BytesIn   uint64 // received from downstream
	BytesOut  uint64 // sent to downstream
	Attrs     Range  // what else the entry carried
}

// A RequestID is what proxies call a request by: Envoy's x-request-id, of which there
// are as many as requests. An id in the canonical form of a UUID (RFC 9562, lower case) is kept
// as its 16 bytes, any other as text; both zero is none.
type RequestID struct {
	UUID [16]byte
	Text StrID
}

// ParseUUID reads the canonical form of a UUID in lower case. ok is false for any other text,
// and for the UUID of zeros, which is none.
func ParseUUID(s []byte) (id [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, false
	}
	bad, lower := byte(0), byte(0x20) // upper case has not this bit
	for i, at := range uuidDigits {
		hi, lo := digits[s[at]], digits[s[at+1]]
		bad |= hi | lo
		lower &= s[at] & s[at+1]
		id[i] = hi<<4 | lo
	}
	if bad >= noDigit || lower == 0 || id == [16]byte{} {
		return [16]byte{}, false
	}
	return id, true
}

// uuidDigits is where each byte's digits are.
var uuidDigits = [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34} //nolint:gochecknoglobals // immutable

// An Address is one end of a connection. A pipe's path and an internal listener's name
// are hosts without a port.
type Address struct {
	Host StrID
	Port uint16 // 0: none
}

// ResponseFlags are Envoy's reasons for a response of its own, as bits: bit n-1
// is field n of envoy.data.accesslog.v3.ResponseFlags.
type ResponseFlags uint32

// The flags that the graph reads by name.
const (
	FlagRateLimited      ResponseFlags = 1 << 11 // RL
	FlagRateLimitService ResponseFlags = 1 << 13 // RLSE: the rate limit service itself failed
)

// The short names in the order of the proto's fields 1 to 28.
var flagNames = [...]string{ //nolint:gochecknoglobals // immutable
	"LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX", "SI",
	"IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DR",
}

// String is the flags' short names joined by commas, "" for none.
func (f ResponseFlags) String() string {
	if f == 0 {
		return ""
	}
	if n := bits.TrailingZeros32(uint32(f)); f == 1<<n && n < len(flagNames) {
		return flagNames[n]
	}
	var sb strings.Builder
	for i, n := range flagNames {
		if f&(1<<i) != 0 {
			if sb.Len() > 0 {
				sb.WriteByte(',')
			}
			sb.WriteString(n)
		}
	}
	return sb.String()
}

// ParseResponseFlags reads short names joined by commas; "-" and unknown names
// are left out.
func ParseResponseFlags(s string) ResponseFlags {
	var f ResponseFlags
	for s != "" {
		var w string
		w, s, _ = strings.Cut(s, ",")
		for i, n := range flagNames {
			if n == w {
				f |= 1 << i
			}
		}
	}
	return f
}
