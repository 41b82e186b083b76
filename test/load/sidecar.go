package load

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	data "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	als "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/binnacle-mesh/binnacle/internal/pb"
)

// A sidecar is an Envoy that logs. Two stand at the ends of the same hops: that of
// the caller (even numbers) and that of the callee (odd). Of one hop they log the same
// trace id, request id and path, and each the id of its own span, as Envoys do: the
// callee's proxy makes a child of the caller's span and logs the traceparent that it
// sends on. No hop is of the trace of another.
//
// An entry is encoded once, by protobuf; what differs from one to the next is then
// written over its bytes, so that the generator takes little of the processors that it
// shares with what it measures. All values therefore have a fixed width.
type sidecar struct {
	caller   bool
	hop, own *rand.Rand // what both ends draw, and what this end does
	head     []byte     // the first message's identifier
	entry    []byte     // with its tag and length
	prefix   []byte     // tag and length of EntriesAMessage entries
	at       places
	clusters [10]string
}

// places are the offsets of what differs.
type places struct {
	ports                                           [4]int
	seconds, nanos                                  int
	firstTx, lastRx, lastTx, duration               int
	cluster, streamID, requestID, path, traceparent int
	code, bytes                                     int
}

// Marks stand where values will. None occurs elsewhere in the entry.
const (
	markCluster = "outbound|8080||svc00.shop.svc.cluster.local"
	markStream  = "00000000-1111-4222-a333-444444444444"
	markRequest = "00000000-1111-4222-a333-555555555555"
	markPath    = "000000"
	markTrace   = "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01"
	markPort    = 40961
	markSeconds = 1<<33 + 77777
	markNanos   = 999_999_901
	markFirstTx = 99_999_902
	markLastRx  = 99_999_903
	markLastTx  = 99_999_904
	markTook    = 99_999_905
	markCode    = 987
	markBytes   = 9_876
)

func newSidecar(i int) (*sidecar, error) {
	l := &sidecar{
		caller: i%2 == 0,
		hop:    rand.New(rand.NewPCG(uint64(i/2), 7)), //nolint:gosec // a load's chance
		own:    rand.New(rand.NewPCG(uint64(i), 8)),   //nolint:gosec // a load's chance
	}
	for k := range l.clusters {
		l.clusters[k] = fmt.Sprintf("outbound|8080||svc%d.shop.svc.cluster.local", 10+i+1+k)
	}
	meta, err := structpb.NewStruct(map[string]any{"NAMESPACE": "shop", "WORKLOAD_NAME": fmt.Sprintf("svc%d-v1", 10+i), "LABELS": map[string]any{"app": fmt.Sprintf("svc%d", 10+i), "version": "v1"}})
	if err != nil {
		return nil, err
	}
	if l.head, err = proto.Marshal(&als.StreamAccessLogsMessage{Identifier: &als.StreamAccessLogsMessage_Identifier{
		LogName: "http_envoy_accesslog",
		Node:    &core.Node{Id: fmt.Sprintf("sidecar~10.0.0.%d~svc%d-7d9f.shop~shop.svc.cluster.local", i, 10+i), Cluster: fmt.Sprintf("svc%d.shop", 10+i), Metadata: meta},
	}}); err != nil {
		return nil, err
	}
	entry, err := proto.Marshal(l.marked())
	if err != nil {
		return nil, err
	}
	l.entry = pb.AppendBytes(nil, 1, entry)
	all := pb.AppendBytes(nil, 2, bytes.Repeat(l.entry, EntriesAMessage))
	l.prefix = all[:len(all)-EntriesAMessage*len(l.entry)]
	return l, l.find()
}

// marked is an entry with all the fields that Envoy fills.
func (l *sidecar) marked() *data.HTTPAccessLogEntry {
	addr := func(ip string, i uint32) *core.Address {
		return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{Address: ip, PortSpecifier: &core.SocketAddress_PortValue{PortValue: markPort + i}}}}
	}
	cluster := "inbound|8080||"
	if l.caller {
		cluster = markCluster
	}
	return &data.HTTPAccessLogEntry{
		CommonProperties: &data.AccessLogCommon{
			DownstreamRemoteAddress: addr("10.0.1.7", 0), DownstreamLocalAddress: addr("10.0.2.9", 1), UpstreamRemoteAddress: addr("10.0.3.4", 2), UpstreamLocalAddress: addr("10.0.1.7", 3),
			StartTime: &timestamppb.Timestamp{Seconds: markSeconds, Nanos: markNanos}, TimeToLastRxByte: durationpb.New(100 * time.Microsecond),
			TimeToFirstUpstreamTxByte: &durationpb.Duration{Nanos: markFirstTx}, TimeToLastUpstreamRxByte: &durationpb.Duration{Nanos: markLastRx},
			TimeToLastDownstreamTxByte: &durationpb.Duration{Nanos: markLastTx}, Duration: &durationpb.Duration{Nanos: markTook},
			UpstreamCluster: cluster, RouteName: "default", UpstreamRequestAttemptCount: 1, AccessLogType: data.AccessLogType_DownstreamEnd, StreamId: markStream,
		},
		ProtocolVersion: data.HTTPAccessLogEntry_HTTP11,
		Request: &data.HTTPRequestProperties{
			RequestMethod: core.RequestMethod_GET, Scheme: "http", Authority: "svc.shop:8080", UserAgent: "Go-http-client/2.0", RequestId: markRequest,
			Path: "/api/v1/items/" + markPath, RequestHeaders: map[string]string{"traceparent": markTrace},
		},
		Response: &data.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(markCode), ResponseCodeDetails: "via_upstream", ResponseBodyBytes: markBytes},
	}
}

// find finds the marks.
func (l *sidecar) find() (err error) {
	find := func(mark []byte) int {
		if bytes.Count(l.entry, mark) != 1 {
			err = fmt.Errorf("mark %q is %d times in the entry", mark, bytes.Count(l.entry, mark))
		}
		return bytes.Index(l.entry, mark)
	}
	number := func(v uint64) int { return find(binary.AppendUvarint(nil, v)) }
	text := func(s string) int { return find([]byte(s)) }
	p := &l.at
	for i := range p.ports {
		p.ports[i] = number(markPort + uint64(i)) //nolint:gosec // below 4
	}
	p.seconds, p.nanos = number(markSeconds), number(markNanos)
	p.firstTx, p.lastRx, p.lastTx, p.duration = number(markFirstTx), number(markLastRx), number(markLastTx), number(markTook)
	p.code, p.bytes = number(markCode), number(markBytes)
	p.streamID, p.requestID, p.path, p.traceparent = text(markStream), text(markRequest), text("/items/"+markPath)+len("/items/"), text(markTrace)
	if l.caller {
		p.cluster = text(markCluster)
	}
	return err
}

// message is the next thirty hops, in bytes of its own.
func (l *sidecar) message() []byte {
	m := make([]byte, 0, len(l.head)+len(l.prefix)+EntriesAMessage*len(l.entry))
	m = append(append(m, l.head...), l.prefix...)
	l.head = nil // the first message alone has it
	for range EntriesAMessage {
		m = append(m, l.entry...)
		l.fill(m[len(m)-len(l.entry):])
	}
	return m
}

// fill writes one hop over an entry's marks.
func (l *sidecar) fill(e []byte) {
	p, now := &l.at, time.Now()
	for _, at := range p.ports {
		putVarint(e[at:], 30000+l.own.Uint64N(20000), 3)
	}
	putVarint(e[p.seconds:], uint64(now.Unix()), 5)     //nolint:gosec // after 1970
	putVarint(e[p.nanos:], uint64(now.Nanosecond()), 5) //nolint:gosec // not negative
	took := 1_000_000 * (1 + l.hop.Uint64N(50))
	putVarint(e[p.firstTx:], took/8, 4)
	putVarint(e[p.lastRx:], took, 4)
	putVarint(e[p.lastTx:], took, 4)
	putVarint(e[p.duration:], took, 4)
	if l.caller {
		copy(e[p.cluster:], l.clusters[l.own.IntN(len(l.clusters))])
	}
	var id [32]byte
	hexDigits(id[:], l.hop)
	id[12], id[16] = '4', 'a'
	for _, at := range [...]int{p.streamID, p.requestID} {
		for i, from := 0, 0; i < len(markStream); i++ {
			if markStream[i] != '-' {
				e[at+i] = id[from]
				from++
			}
		}
	}
	item := l.hop.IntN(1e6)
	for i := len(markPath) - 1; i >= 0; i-- {
		e[p.path+i] = byte('0' + item%10)
		item /= 10
	}
	hexDigits(e[p.traceparent+3:][:32], l.hop)
	hexDigits(e[p.traceparent+36:][:16], l.own)
	code := uint64(200)
	if l.hop.IntN(50) == 0 {
		code = 503
	}
	putVarint(e[p.code:], code, 2)
	putVarint(e[p.bytes:], l.hop.Uint64N(10000), 2)
}

// putVarint writes v in exactly n bytes.
func putVarint(dst []byte, v uint64, n int) {
	for i := range n - 1 {
		dst[i] = byte(v) | 0x80
		v >>= 7
	}
	dst[n-1] = byte(v) & 0x7f
}

// hexDigits fills dst, whose length is a multiple of 16, with random digits.
func hexDigits(dst []byte, r *rand.Rand) {
	var b [8]byte
	for ; len(dst) > 0; dst = dst[16:] {
		binary.BigEndian.PutUint64(b[:], r.Uint64())
		hex.Encode(dst, b[:])
	}
}
