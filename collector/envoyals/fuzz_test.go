package envoyals

import (
	"testing"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	logpb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// FuzzMessage feeds anything to the decoder; what protobuf's own decoder
// takes, ours must take as well, and find as many entries.
func FuzzMessage(f *testing.F) {
	e := httpEntry("outbound|80|v1|pricing.shop.svc.cluster.local", "POST", "/x?y", 503)
	e.CommonProperties.TlsProperties = mtls("spiffe://cluster.local/ns/shop/sa/cart", "spiffe://a.consul/ns/default/dc/dc1/svc/web")
	e.CommonProperties.CustomTags = map[string]string{"tenant": "blue"}
	e.CommonProperties.ResponseFlags = &logpb.ResponseFlags{RateLimited: true, UnauthorizedDetails: &logpb.ResponseFlags_Unauthorized{}}
	f.Add(marshal(f, httpMessage(istioNode("router", "gateway", "edge", "v1"), e)))
	f.Add(marshal(f, httpMessage(&corepb.Node{Id: "mesh/shop/virtualNode/cart", Cluster: "mesh/shop/virtualNode/cart"}, e)))
	f.Add(marshal(f, tcpMessage(istioNode("sidecar", "cart", "shop", "v1"), &logpb.TCPAccessLogEntry{CommonProperties: e.CommonProperties})))
	f.Add(marshal(f, loadMessage(2)))
	in := newRig(f).In
	f.Fuzz(func(t *testing.T, raw []byte) {
		var from sender
		d := &decoder{Fill: &collector.Fill{}}
		in.Begin(d.Fill)
		defer func() { in.Abandon(d.Fill) }()
		err := from.identify(raw)
		if err == nil {
			err = d.decode(&from, raw)
		}
		if err == nil {
			rec := d.Batch.AppendRecord(nil)
			if err := telemetry.NewBatch().DecodeRecord(rec); err != nil {
				t.Fatalf("its record: %v", err)
			}
		}
		msg := &alspb.StreamAccessLogsMessage{}
		if proto.Unmarshal(raw, msg) != nil || err != nil {
			// Protobuf ignores what is wrong inside an Any and merges what is
			// said twice, so that ours may refuse what it takes.
			return
		}
		if n := len(msg.GetHttpLogs().GetLogEntry()) + len(msg.GetTcpLogs().GetLogEntry()); proto.Size(msg) == len(raw) {
			dropped, _ := d.Rejected()
			got := len(d.Batch.Requests) + dropped + d.Omitted()
			if from.gateway { // one entry may be two requests
				if got < n || got > 2*n {
					t.Fatalf("a gateway's %d entries became %d requests", n, got)
				}
			} else if got != n {
				t.Fatalf("%d entries became %d requests", n, got)
			}
		}
	})
}
