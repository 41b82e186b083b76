package envoyals

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	logpb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// testNow is the wall's clock of the tests and of their messages.
var testNow = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// istioNode is a node as Istio's injector writes it.
func istioNode(kind, app, namespace, version string) *corepb.Node {
	pod := app + "-" + version + "-5d4f"
	meta, err := structpb.NewStruct(map[string]any{
		"NAME": pod, "NAMESPACE": namespace, "WORKLOAD_NAME": app + "-" + version, "CLUSTER_ID": "Kubernetes",
		"LABELS": map[string]any{"app": app, "version": version, "service.istio.io/canonical-name": app},
	})
	if err != nil {
		panic(err)
	}
	return &corepb.Node{
		Id:       fmt.Sprintf("%s~10.1.2.3~%s.%s~%s.svc.cluster.local", kind, pod, namespace, namespace),
		Cluster:  app + "." + namespace,
		Metadata: meta,
	}
}

func address(host string, port uint32) *corepb.Address {
	return &corepb.Address{Address: &corepb.Address_SocketAddress{SocketAddress: &corepb.SocketAddress{
		Address: host, PortSpecifier: &corepb.SocketAddress_PortValue{PortValue: port},
	}}}
}

// httpEntry is an entry with the fields that Envoy fills always.
func httpEntry(cluster, method, path string, code uint32) *logpb.HTTPAccessLogEntry {
	return &logpb.HTTPAccessLogEntry{
		CommonProperties: &logpb.AccessLogCommon{
			DownstreamRemoteAddress:       address("10.1.0.7", 34166),
			DownstreamLocalAddress:        address("10.1.0.8", 8080),
			DownstreamDirectRemoteAddress: address("10.1.0.7", 34166),
			StartTime:                     timestamppb.New(testNow.Add(-time.Second)),
			TimeToLastDownstreamTxByte:    durationpb.New(25 * time.Millisecond),
			Duration:                      durationpb.New(25 * time.Millisecond),
			UpstreamRemoteAddress:         address("10.1.0.9", 9080),
			UpstreamCluster:               cluster,
			RouteName:                     "default",
			UpstreamRequestAttemptCount:   1,
			AccessLogType:                 logpb.AccessLogType_DownstreamEnd,
		},
		ProtocolVersion: logpb.HTTPAccessLogEntry_HTTP11,
		Request: &logpb.HTTPRequestProperties{
			RequestMethod:       corepb.RequestMethod(corepb.RequestMethod_value[method]),
			Scheme:              "http",
			Authority:           "shop.example",
			Path:                path,
			UserAgent:           "okhttp/4.12.0",
			RequestId:           "3c0f9a44-7a43-9d49-8ad5-5b1d5b5f8f10",
			RequestHeadersBytes: 400,
			RequestBodyBytes:    20,
			RequestHeaders:      map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		},
		Response: &logpb.HTTPResponseProperties{
			ResponseCode:         wrapperspb.UInt32(code),
			ResponseHeadersBytes: 100,
			ResponseBodyBytes:    3000,
			ResponseCodeDetails:  "via_upstream",
		},
	}
}

func httpMessage(node *corepb.Node, entries ...*logpb.HTTPAccessLogEntry) *alspb.StreamAccessLogsMessage {
	m := &alspb.StreamAccessLogsMessage{LogEntries: &alspb.StreamAccessLogsMessage_HttpLogs{
		HttpLogs: &alspb.StreamAccessLogsMessage_HTTPAccessLogEntries{LogEntry: entries},
	}}
	if node != nil {
		m.Identifier = &alspb.StreamAccessLogsMessage_Identifier{Node: node, LogName: "http_envoy_accesslog"}
	}
	return m
}

func tcpMessage(node *corepb.Node, entries ...*logpb.TCPAccessLogEntry) *alspb.StreamAccessLogsMessage {
	m := &alspb.StreamAccessLogsMessage{LogEntries: &alspb.StreamAccessLogsMessage_TcpLogs{
		TcpLogs: &alspb.StreamAccessLogsMessage_TCPAccessLogEntries{LogEntry: entries},
	}}
	if node != nil {
		m.Identifier = &alspb.StreamAccessLogsMessage_Identifier{Node: node, LogName: "tcp_envoy_accesslog"}
	}
	return m
}

// mtls are the properties of a connection between two SPIFFE names.
func mtls(local, peer string) *logpb.TLSProperties {
	san := func(uri string) *logpb.TLSProperties_CertificateProperties {
		return &logpb.TLSProperties_CertificateProperties{SubjectAltName: []*logpb.TLSProperties_CertificateProperties_SubjectAltName{
			{San: &logpb.TLSProperties_CertificateProperties_SubjectAltName_Uri{Uri: uri}},
		}}
	}
	p := &logpb.TLSProperties{TlsVersion: logpb.TLSProperties_TLSv1_3}
	if local != "" {
		p.LocalCertificateProperties = san(local)
	}
	if peer != "" {
		p.PeerCertificateProperties = san(peer)
	}
	return p
}

// loadMessage is a message such as a busy sidecar flushes: inbound and
// outbound entries, half of the inbound ones by mTLS.
func loadMessage(entries int) *alspb.StreamAccessLogsMessage {
	r := rand.New(rand.NewPCG(1, 2))
	var out []*logpb.HTTPAccessLogEntry
	for i := range entries {
		cluster := "inbound|9080||"
		if i%2 == 1 {
			cluster = fmt.Sprintf("outbound|9080|v1|service-%d.shop.svc.cluster.local", r.IntN(8))
		}
		e := httpEntry(cluster, "GET", fmt.Sprintf("/api/v1/items/%08x?page=%d", r.Uint32(), r.IntN(9)), 200)
		e.Request.RequestHeaders["traceparent"] = fmt.Sprintf("00-%016x%016x-%016x-01", r.Uint64(), r.Uint64(), r.Uint64()|1)
		e.Request.RequestId = fmt.Sprintf("%08x-7a43-9d49-8ad5-%012x", r.Uint32(), r.Uint64()>>16)
		e.CommonProperties.DownstreamRemoteAddress = address("10.1.0.7", uint32(32768+r.IntN(28000)))
		e.CommonProperties.DownstreamDirectRemoteAddress = e.CommonProperties.DownstreamRemoteAddress
		if i%4 == 0 {
			e.CommonProperties.TlsProperties = mtls("spiffe://cluster.local/ns/shop/sa/cart", "spiffe://cluster.local/ns/shop/sa/frontend")
		}
		out = append(out, e)
	}
	return httpMessage(istioNode("sidecar", "cart", "shop", "v1"), out...)
}
