package envoyals

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/internal/pb"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// last says whether this entry was logged at the end of its request or connection, which
// is the one that is counted: a long one may be logged at its start and many times while
// it lasts.
func (e *entry) last() bool {
	const tcpConnectionEnd, downstreamEnd, udpSessionEnd = 3, 6, 13 // AccessLogType
	switch e.logType {
	case 0: // an Envoy that does not tell yet
		return !e.intermediate
	case tcpConnectionEnd, downstreamEnd, udpSessionEnd:
		return true
	default:
		return false
	}
}

// request appends what an entry says to the batch: one Request, or two where
// a gateway reports.
func (d *decoder) request(from *sender, e *entry) error {
	if !e.last() {
		d.Omit(collector.OmitIntermediate)
		return nil
	}
	b := d.Batch
	r := telemetry.Request{
		Resource: from.resource,
		Method:   b.InternString(methodName(e.method)),
		Path:     d.Text(withoutQuery(e.path)),
		Route:    d.usualText(fieldRoute, e.route),
		Cluster:  d.usualText(fieldCluster, e.cluster),
		Attempts: uint32(min(e.attempts, 1<<16)),
		BytesIn:  e.bytesIn,
		BytesOut: e.bytesOut,
		Response: e.flags,
	}
	var start, end uint64
	if at := e.start.nanoseconds(); at > 0 {
		took := e.lastByte
		if !took.set || e.isTCP && e.duration.set {
			took = e.duration
		}
		start, end = uint64(at), uint64(at)+uint64(took.nanoseconds())
	}
	var recent bool
	if r.Start, r.Duration, recent = d.Interval(start, end); !recent {
		d.Drop(collector.DropOld, r.Path)
		return nil
	}
	r.Authority = d.usualText(fieldAuthority, e.authority)
	var isUUID bool
	if r.RequestID.UUID, isUUID = telemetry.ParseUUID(e.requestID); !isUUID {
		r.RequestID.Text = d.Text(e.requestID)
	}
	e.trace(&r)
	e.outcome(&r)
	var err error
	if r.Upstream, err = d.addressOf(fieldUpstream, e.upstream); err != nil {
		return fmt.Errorf("upstream_remote_address: %w", err)
	}
	remote := e.direct
	if remote == nil {
		remote = e.remote
	}
	if r.Remote, err = d.addressOf(fieldRemote, remote); err != nil {
		return fmt.Errorf("downstream_direct_remote_address: %w", err)
	}
	if r.Attrs, err = d.attributes(e); err != nil {
		return err
	}
	return d.place(from, e, r)
}

// trace reads the ids of the trace out of the headers that the proxy sent on.
func (e *entry) trace(r *telemetry.Request) {
	// 00-<32 digits>-<16 digits>-<2 digits>, W3C Trace Context.
	if p := e.traceparent; len(p) >= 55 && p[2] == '-' && p[35] == '-' && p[52] == '-' {
		trace, err1 := telemetry.ParseTraceID(pb.View(p[3:35]))
		span, err2 := telemetry.ParseSpanID(pb.View(p[36:52]))
		if err1 == nil && err2 == nil {
			r.TraceID, r.SpanID = trace, span
			return
		}
	}
	if len(e.b3Trace) != 0 && len(e.b3Span) != 0 {
		trace, err1 := telemetry.ParseTraceID(pb.View(e.b3Trace))
		span, err2 := telemetry.ParseSpanID(pb.View(e.b3Span))
		if err1 == nil && err2 == nil {
			r.TraceID, r.SpanID = trace, span
		}
	}
}

// A TCP connection has no code; these flags say that it came to nothing: UH,
// UF, UO, NR, URX, NC, DF.
const tcpFailed = telemetry.ResponseFlags(1<<1 | 1<<5 | 1<<7 | 1<<8 | 1<<15 | 1<<24 | 1<<26)

// outcome says how the request ended.
func (e *entry) outcome(r *telemetry.Request) {
	code := int32(min(e.code, 999))
	switch {
	case e.isTCP:
		r.Protocol = telemetry.ProtocolTCP
		r.Outcome = telemetry.OutcomeOf(r.Protocol, 0, e.flags)
		if r.Outcome == telemetry.OutcomeOK && e.flags&tcpFailed != 0 {
			r.Outcome = telemetry.OutcomeError
		}
	case !e.grpcType && len(e.grpcStatus) == 0:
		r.Protocol, r.Code = telemetry.ProtocolHTTP, code
		r.Outcome = telemetry.OutcomeOf(r.Protocol, code, e.flags)
	default:
		r.Protocol = telemetry.ProtocolGRPC
		if v, err := strconv.ParseUint(pb.View(e.grpcStatus), 10, 8); err == nil {
			r.Code = int32(v)
			r.Outcome = telemetry.OutcomeOf(r.Protocol, r.Code, e.flags)
			return
		}
		// The trailers were not logged, or never came: HTTP's status is what
		// remains, and what a client would make of it.
		r.Code = grpcOfHTTP(code)
		r.Outcome = telemetry.OutcomeOf(telemetry.ProtocolHTTP, code, e.flags)
	}
}

// grpcOfHTTP is the code that a gRPC client derives from an HTTP status
// (grpc/doc/http-grpc-status-mapping.md); -1 where the status says nothing.
func grpcOfHTTP(code int32) int32 {
	switch code {
	case 200:
		return -1
	case 400:
		return 13
	case 401:
		return 16
	case 403:
		return 7
	case 404:
		return 12
	case 0, 429, 502, 503, 504:
		return 14
	default:
		return 2
	}
}

// attributes keeps what an entry says beyond a Request's fields: the custom
// tags that its operator configured, the user agent, and why it failed.
func (d *decoder) attributes(e *entry) (telemetry.Range, error) {
	b := d.Batch
	start := len(b.Attrs)
	room := func(key telemetry.StrID) bool {
		switch {
		case key == 0:
			d.Repair(collector.RepairKey)
		case len(b.Attrs)-start >= d.Limits.Attributes:
			d.Repair(collector.RepairAttributes)
		default:
			return true
		}
		return false
	}
	add := func(key, value telemetry.StrID) {
		b.Attrs = append(b.Attrs, telemetry.Attr{Key: key, Value: uint64(value)})
	}
	for _, tag := range e.tags {
		key, value, err := mapEntry(tag)
		if err != nil {
			return telemetry.Range{}, fmt.Errorf("custom_tags: %w", err)
		}
		if key := d.Key(key); room(key) {
			add(key, d.Text(value))
		}
	}
	if len(e.userAgent) != 0 && room(telemetry.KeyUserAgentOriginal) {
		add(telemetry.KeyUserAgentOriginal, d.usualText(fieldUserAgent, e.userAgent))
	}
	if len(e.details) != 0 && string(e.details) != "via_upstream" {
		if key := b.InternString("response_code_details"); room(key) {
			add(key, d.Text(e.details))
		}
	}
	if len(e.failure) != 0 {
		if key := b.InternString("upstream_transport_failure_reason"); room(key) {
			add(key, d.Text(e.failure))
		}
	}
	if len(b.Attrs) == start {
		return telemetry.Range{}, nil
	}
	return telemetry.Range{Start: uint32(start), Len: uint32(len(b.Attrs) - start)}, nil
}

// withoutQuery is the path alone: queries hold secrets, and are as many as requests.
func withoutQuery(path []byte) []byte {
	for _, end := range [...]byte{'?', '#'} {
		if i := bytes.IndexByte(path, end); i >= 0 {
			path = path[:i]
		}
	}
	return path
}

// methodName is the name of an envoy.config.core.v3.RequestMethod.
func methodName(v uint64) string {
	names := [...]string{"", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
	if v < uint64(len(names)) {
		return names[v]
	}
	return ""
}

// addressOf reads an envoy.config.core.v3.Address: a socket's host and port, a pipe's
// path, or an internal listener's name.
func (d *decoder) addressOf(field int, msg []byte) (a telemetry.Address, err error) {
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Bytes:
			if a, err = d.socketAddress(field, r.Bytes()); err != nil {
				return a, err
			}
		case 2<<3 | pb.Bytes, 3<<3 | pb.Bytes:
			n := pb.Over(r.Bytes())
			for n.Next() {
				if n.Tag == 1<<3|pb.Bytes {
					a = telemetry.Address{Host: d.Text(n.Bytes())}
				}
			}
			if n.Err != nil {
				return a, n.Err
			}
		}
	}
	return a, r.Err
}

func (d *decoder) socketAddress(field int, msg []byte) (a telemetry.Address, err error) {
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 2<<3 | pb.Bytes:
			a.Host = d.usualText(field, r.Bytes())
		case 3<<3 | pb.Varint:
			if r.Uint <= math.MaxUint16 {
				a.Port = uint16(r.Uint)
			}
		}
	}
	return a, r.Err
}
