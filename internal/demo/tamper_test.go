package demo

import (
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	resourcev1 "go.opentelemetry.io/proto/otlp/resource/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// TestTamper: what each flaw makes of what cart sends, and that it leaves users alone.
func TestTamper(t *testing.T) {
	t.Parallel()
	const at = int64(1_795_222_800_000_000_000)
	for _, kind := range append(Flaws(), "") {
		f := &flaws{}
		f.now.Store(&flaw{kind, "cart"})
		for _, service := range []string{"cart", "users"} {
			struck := service == "cart"
			request := &collectorv1.ExportTraceServiceRequest{ResourceSpans: []*tracev1.ResourceSpans{{
				Resource:   &resourcev1.Resource{Attributes: []*commonv1.KeyValue{text("service.name", service)}},
				ScopeSpans: []*tracev1.ScopeSpans{{}},
			}}}
			for i := range 1000 {
				request.ResourceSpans[0].ScopeSpans[0].Spans = append(request.ResourceSpans[0].ScopeSpans[0].Spans,
					&tracev1.Span{TraceId: []byte{15: byte(i), 14: byte(i >> 8)}, StartTimeUnixNano: uint64(at), EndTimeUnixNano: uint64(at)})
			}
			f.tamperSpans(request)
			var spans []*tracev1.Span
			for _, scope := range request.GetResourceSpans()[0].GetScopeSpans() {
				spans = append(spans, scope.GetSpans()...)
			}
			name := attribute(request.GetResourceSpans()[0].GetResource().GetAttributes(), "service.name").GetStringValue()
			wantSpans, wantName, wantAt := 1000, service, at
			switch {
			case !struck:
			case kind == FlawTracer:
				wantSpans = 0
			case kind == FlawSampling:
				wantSpans = 10
			case kind == FlawRenamed:
				wantName = "cart-next"
			case kind == FlawClock:
				wantAt += int64(3 * time.Second)
			}
			if len(spans) != wantSpans || name != wantName || len(spans) > 0 && spans[0].GetStartTimeUnixNano() != uint64(wantAt) {
				t.Errorf("%s of %s: %d spans of %s, want %d of %s", kind, service, len(spans), name, wantSpans, wantName)
			}

			sender := &accesslogv3.StreamAccessLogsMessage_Identifier{Node: &corev3.Node{Id: "sidecar~127.0.0.1~x.shop~shop.svc.cluster.local", Cluster: service + ".shop"}}
			entry := func(cluster string) *datav3.HTTPAccessLogEntry {
				return &datav3.HTTPAccessLogEntry{CommonProperties: &datav3.AccessLogCommon{UpstreamCluster: cluster, StartTime: timestamppb.New(time.Unix(0, at))}}
			}
			out := f.tamperLogs(sender, &accesslogv3.StreamAccessLogsMessage{LogEntries: &accesslogv3.StreamAccessLogsMessage_HttpLogs{
				HttpLogs: &accesslogv3.StreamAccessLogsMessage_HTTPAccessLogEntries{LogEntry: []*datav3.HTTPAccessLogEntry{entry(inboundCluster), entry("outbound|9080|v1|x")}},
			}})
			wantMessages, wantCluster := 1, service+".shop"
			switch {
			case struck && kind == FlawTwice:
				wantMessages = 2
			case struck && kind == FlawRenamed:
				wantCluster = "cart-next.shop"
			}
			first := out[0].message.GetHttpLogs().GetLogEntry()
			if len(out) != wantMessages || out[0].sender.GetNode().GetCluster() != wantCluster || len(first) != 2 || first[0].GetCommonProperties().GetStartTime().AsTime().UnixNano() != wantAt {
				t.Errorf("%s of %s: %d messages of %s", kind, service, len(out), out[0].sender.GetNode().GetCluster())
			}
			if len(out) == 2 && (len(out[1].message.GetHttpLogs().GetLogEntry()) != 1 || out[1].sender.GetNode().GetId() == sender.GetNode().GetId()) {
				t.Errorf("%s: the second proxy logs %v", kind, out[1].message)
			}
			if sender.GetNode().GetCluster() != service+".shop" {
				t.Errorf("%s changed the sender itself", kind)
			}
		}
	}
}

// TestReplicas: flaws bring the second pod, and callers know of both.
func TestReplicas(t *testing.T) {
	t.Parallel()
	plain, flawed := plan(Config{}.shop()), plan(Config{Flaws: true}.shop())
	if len(flawed) != len(plain)+1 {
		t.Errorf("%d members with flaws, %d without", len(flawed), len(plain))
	}
	for _, m := range flawed {
		for _, u := range m.upstreams(map[string][]int{"reviews-v1": {1, 2}}, nil) {
			if u.authority == "reviews.shop.svc.cluster.local:9080" && len(u.ports) != 2 {
				t.Errorf("%s knows %d pods of reviews", m.pod(), len(u.ports))
			}
		}
	}
	var m Mesh
	if err := m.Inject(t.Context(), FlawClock, "cart"); err == nil {
		t.Error("a flaw was injected into a mesh that has none")
	}
	if err := m.Heal(); err != nil {
		t.Error(err)
	}
}
