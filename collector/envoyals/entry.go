package envoyals

import (
	"fmt"

	"github.com/binnacle-mesh/binnacle/internal/pb"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// entry is what one HTTPAccessLogEntry or TCPAccessLogEntry says, as views of
// the message. Only what a telemetry.Request can hold is read.
//
// Source: envoy/data/accesslog/v3/accesslog.proto.
type entry struct {
	isTCP bool

	// AccessLogCommon
	remote, direct, upstream []byte // Address messages
	tls                      []byte // TLSProperties
	start                    stamp
	lastByte, duration       stamp
	cluster, route, failure  []byte
	flags                    telemetry.ResponseFlags
	attempts                 uint64
	logType                  uint64
	intermediate             bool
	upstreamPeer             []byte // google.protobuf.Any
	downstreamPeer           []byte
	tags                     [][]byte // map entries

	// HTTPRequestProperties, HTTPResponseProperties
	method               uint64
	authority, path      []byte
	userAgent, requestID []byte
	code                 uint64
	details              []byte
	grpcType             bool // the request's content type is gRPC's
	grpcStatus           []byte
	traceparent          []byte
	b3Trace, b3Span      []byte
	downstreamCluster    []byte // header x-envoy-downstream-service-cluster
	bytesIn, bytesOut    uint64
}

// stamp is a google.protobuf.Timestamp or Duration.
type stamp struct {
	seconds int64
	nanos   int64
	set     bool
}

// nanoseconds is the stamp as one number; what does not fit is 0.
func (s stamp) nanoseconds() int64 {
	const most = (1<<63-1)/1_000_000_000 - 1
	if s.seconds < 0 || s.seconds > most || s.nanos < 0 || s.nanos >= 1e9 {
		return 0
	}
	return s.seconds*1e9 + s.nanos
}

func (s *stamp) decode(msg []byte) error {
	s.set = true
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Varint:
			s.seconds = int64(r.Uint)
		case 2<<3 | pb.Varint:
			s.nanos = int64(r.Uint)
		}
	}
	return r.Err
}

func (e *entry) reset() { *e = entry{tags: e.tags[:0]} }

// http decodes an HTTPAccessLogEntry.
func (e *entry) http(msg []byte) error {
	r := pb.Over(msg)
	for r.Next() {
		var err error
		switch r.Tag {
		case 1<<3 | pb.Bytes:
			err = e.common(r.Bytes())
		case 3<<3 | pb.Bytes:
			err = e.request(r.Bytes())
		case 4<<3 | pb.Bytes:
			err = e.response(r.Bytes())
		}
		if err != nil {
			return err
		}
	}
	return r.Err
}

// tcp decodes a TCPAccessLogEntry.
func (e *entry) tcp(msg []byte) error {
	e.isTCP = true
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Bytes:
			if err := e.common(r.Bytes()); err != nil {
				return err
			}
		case 2<<3 | pb.Bytes:
			c := pb.Over(r.Bytes())
			for c.Next() {
				switch c.Tag {
				case 1<<3 | pb.Varint:
					e.bytesIn = c.Uint
				case 2<<3 | pb.Varint:
					e.bytesOut = c.Uint
				}
			}
			if c.Err != nil {
				return fmt.Errorf("connection_properties: %w", c.Err)
			}
		}
	}
	return r.Err
}

// common decodes an AccessLogCommon.
func (e *entry) common(msg []byte) error {
	r := pb.Over(msg)
	for r.Next() {
		var err error
		switch r.Tag {
		case 2<<3 | pb.Bytes:
			e.remote = r.Bytes()
		case 4<<3 | pb.Bytes:
			e.tls = r.Bytes()
		case 5<<3 | pb.Bytes:
			err = e.start.decode(r.Bytes())
		case 12<<3 | pb.Bytes:
			err = e.lastByte.decode(r.Bytes())
		case 13<<3 | pb.Bytes:
			e.upstream = r.Bytes()
		case 15<<3 | pb.Bytes:
			e.cluster = r.Bytes()
		case 16<<3 | pb.Bytes:
			err = e.responseFlags(r.Bytes())
		case 18<<3 | pb.Bytes:
			e.failure = r.Bytes()
		case 19<<3 | pb.Bytes:
			e.route = r.Bytes()
		case 20<<3 | pb.Bytes:
			e.direct = r.Bytes()
		case 21<<3 | pb.Bytes:
			err = e.filterState(r.Bytes())
		case 22<<3 | pb.Bytes:
			e.tags = append(e.tags, r.Bytes())
		case 23<<3 | pb.Bytes:
			err = e.duration.decode(r.Bytes())
		case 24<<3 | pb.Varint:
			e.attempts = r.Uint
		case 27<<3 | pb.Varint:
			e.intermediate = r.Uint != 0
		case 33<<3 | pb.Varint:
			e.logType = r.Uint
		}
		if err != nil {
			return fmt.Errorf("common_properties: %w", err)
		}
	}
	if r.Err != nil {
		return fmt.Errorf("common_properties: %w", r.Err)
	}
	return nil
}

// responseFlags decodes a ResponseFlags: field n is bit n-1. All are booleans
// but unauthorized_details (13), which is a message.
func (e *entry) responseFlags(msg []byte) error {
	r := pb.Over(msg)
	for r.Next() {
		if n := r.Tag >> 3; n <= 28 && (r.Tag&7 == pb.Varint && r.Uint != 0 || r.Tag == 13<<3|pb.Bytes) {
			e.flags |= 1 << (n - 1)
		}
	}
	return r.Err
}

// filterState keeps the objects in which Istio's proxies put what they know of
// their peer.
func (e *entry) filterState(msg []byte) error {
	key, value, err := mapEntry(msg)
	switch string(key) {
	case "upstream_peer":
		e.upstreamPeer = value
	case "downstream_peer":
		e.downstreamPeer = value
	}
	return err
}

// request decodes an HTTPRequestProperties.
func (e *entry) request(msg []byte) error {
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Varint:
			e.method = r.Uint
		case 3<<3 | pb.Bytes:
			e.authority = r.Bytes()
		case 5<<3 | pb.Bytes:
			e.path = r.Bytes()
		case 6<<3 | pb.Bytes:
			e.userAgent = r.Bytes()
		case 9<<3 | pb.Bytes:
			e.requestID = r.Bytes()
		case 11<<3 | pb.Varint, 12<<3 | pb.Varint:
			e.bytesIn += r.Uint
		case 13<<3 | pb.Bytes:
			key, value, err := mapEntry(r.Bytes())
			if err != nil {
				return fmt.Errorf("request_headers: %w", err)
			}
			e.requestHeader(key, value)
		}
	}
	if r.Err != nil {
		return fmt.Errorf("request: %w", r.Err)
	}
	return nil
}

func (e *entry) requestHeader(key, value []byte) {
	switch string(key) {
	case "traceparent":
		e.traceparent = value
	case "x-b3-traceid":
		e.b3Trace = value
	case "x-b3-spanid":
		e.b3Span = value
	case "content-type":
		const grpc = "application/grpc"
		e.grpcType = len(value) >= len(grpc) && string(value[:len(grpc)]) == grpc
	case "x-envoy-downstream-service-cluster":
		e.downstreamCluster = value
	}
}

// response decodes an HTTPResponseProperties.
func (e *entry) response(msg []byte) error {
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Bytes: // google.protobuf.UInt32Value
			v := pb.Over(r.Bytes())
			for v.Next() {
				if v.Tag == 1<<3|pb.Varint {
					e.code = v.Uint
				}
			}
			if v.Err != nil {
				return fmt.Errorf("response_code: %w", v.Err)
			}
		case 2<<3 | pb.Varint, 3<<3 | pb.Varint:
			e.bytesOut += r.Uint
		case 4<<3 | pb.Bytes, 5<<3 | pb.Bytes: // headers, trailers
			key, value, err := mapEntry(r.Bytes())
			if err != nil {
				return fmt.Errorf("response_headers: %w", err)
			}
			if string(key) == "grpc-status" {
				e.grpcStatus = value
			}
		case 6<<3 | pb.Bytes:
			e.details = r.Bytes()
		}
	}
	if r.Err != nil {
		return fmt.Errorf("response: %w", r.Err)
	}
	return nil
}
