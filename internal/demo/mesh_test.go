package demo

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
)

// TestMeshSendsWhatItDeclares starts the whole mesh with real Envoys and reads what reaches the mesh port with nothing but
// the published protocols: by the plainest pairing of spans there is, the edges must be those of DeclaredTopology.
// The sub-tests pin down the facts about Envoy on which Binnacle's collector and topology rely.
func TestMeshSendsWhatItDeclares(t *testing.T) {
	t.Parallel()
	binary := envoyOrSkip(t)
	s := newSink(t)
	cfg := Config{Mesh: s.address, Envoy: binary, Rate: 60, Chapter: ChapterQuota}
	mesh, err := Start(t.Context(), cfg, discard())
	if err != nil {
		t.Fatal(err)
	}
	pids := mesh.PIDs()

	var want []string
	for _, e := range DeclaredTopology().Edges {
		want = append(want, e.ID)
	}
	var got []string
	settled := func() bool {
		spans, logs, asked := s.seen()
		got = edgesOf(spans)
		refused := slices.ContainsFunc(asked, func(q sunkQuestion) bool { return q.refused })
		logged := slices.ContainsFunc(logs, func(l sunkLog) bool { return l.GetCommonProperties().GetResponseFlags().GetRateLimited() })
		return len(got) >= len(want) && refused && logged
	}
	for deadline := time.Now().Add(30 * time.Second); !settled() && time.Now().Before(deadline); {
		select {
		case err := <-mesh.Failed():
			t.Fatal(err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	mesh.Close()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("edges declared (-) and edges in the spans sent (+):\n%s", diff)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("Envoy %d still runs after Close", pid)
		}
	}

	spans, logs, asked := s.seen()
	byID := map[string]sunkSpan{}
	for _, span := range spans {
		byID[hexID(span.GetTraceId())+hexID(span.GetSpanId())] = span
	}
	t.Run("identity", func(t *testing.T) {
		for _, span := range spans {
			r := span.resource
			if r["service.name"] == "" || r["service.namespace"] == "" || r["service.version"] == "" || r["k8s.pod.name"] == "" {
				t.Fatalf("span %q has no full identity: %v", span.GetName(), r)
			}
		}
		for _, l := range logs {
			role, pod, _ := strings.Cut(l.node, "~127.0.0.1~")
			service, namespace, _ := strings.Cut(l.cluster, ".")
			if role != "sidecar" && role != "router" || !strings.HasPrefix(pod, service+"-v") || !strings.HasSuffix(pod, "."+namespace+"~"+namespace+".svc.cluster.local") {
				t.Fatalf("log entry of node %q, cluster %q", l.node, l.cluster)
			}
		}
	})
	t.Run("traceparent in a log entry is the proxy's own span", func(t *testing.T) {
		kinds := map[string]int{}
		for _, l := range logs {
			header := l.GetRequest().GetRequestHeaders()["traceparent"]
			context := parseTraceparent(header)
			span, ok := byID[fmt.Sprintf("%x%x", context.trace, context.span)]
			if !ok {
				continue // the span came after Close, or not at all
			}
			direction, _, _ := strings.Cut(l.GetCommonProperties().GetUpstreamCluster(), "|")
			if direction != "inbound" && direction != "outbound" && direction != "" {
				direction = "plain"
			}
			kinds[direction+" "+span.GetKind().String()]++
		}
		// An entry without an upstream cluster is a request that Envoy answered itself: then the header is still the caller's.
		got := slices.Sorted(maps.Keys(kinds))
		want := []string{" SPAN_KIND_CLIENT", "inbound SPAN_KIND_SERVER", "outbound SPAN_KIND_CLIENT", "plain SPAN_KIND_CLIENT"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("direction of entry and kind of span (-want +got):\n%s\n%v", diff, kinds)
		}
	})
	t.Run("mutual TLS is in the callee's log and only there", func(t *testing.T) {
		peers := map[string]bool{}
		for _, l := range logs {
			tls := l.GetCommonProperties().GetTlsProperties()
			inbound := strings.HasPrefix(l.GetCommonProperties().GetUpstreamCluster(), "inbound|")
			if tls == nil {
				continue
			}
			if !inbound {
				t.Fatalf("an outbound entry of %s has TLS properties: %v", l.node, tls)
			}
			for _, san := range tls.GetPeerCertificateProperties().GetSubjectAltName() {
				peers[san.GetUri()+" > "+l.cluster] = true
			}
		}
		var want []string
		for _, e := range DeclaredTopology().Edges {
			if e.MTLS {
				namespace, name, _ := strings.Cut(e.Source, "/")
				toNamespace, toName, _ := strings.Cut(e.Target, "/")
				want = append(want, spiffeID(namespace, name)+" > "+toName+"."+toNamespace)
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(peers))); diff != "" {
			t.Errorf("declared (-) and seen (+):\n%s", diff)
		}
	})
	t.Run("a refused request", func(t *testing.T) {
		found := 0
		for _, l := range logs {
			if !l.GetCommonProperties().GetResponseFlags().GetRateLimited() {
				continue
			}
			found++
			if l.cluster != "search.shop" || l.GetResponse().GetResponseCode().GetValue() != 429 || l.GetCommonProperties().GetUpstreamCluster() != "" {
				t.Fatalf("refused at %s: code %v, upstream cluster %q", l.cluster, l.GetResponse().GetResponseCode(), l.GetCommonProperties().GetUpstreamCluster())
			}
		}
		if found == 0 {
			t.Error("no log entry tells of a refused request")
		}
		found = 0
		for _, span := range spans {
			if span.attributes["response_flags"] == "RL" && span.GetKind() == tracev1.Span_SPAN_KIND_SERVER && span.attributes["http.status_code"] == "429" {
				found++
			}
		}
		if found == 0 {
			t.Error("no server span tells of a refused request")
		}
	})
	t.Run("a rate limit question", func(t *testing.T) {
		for _, q := range asked {
			if q.GetDomain() != quotaDomain || parseTraceparent(q.traceparent) == (spanContext{}) {
				t.Fatalf("question %v with traceparent %q", q.RateLimitRequest, q.traceparent)
			}
		}
	})
}

// edgesOf is a naive oracle: spans whose parent is a client span of another service, and client spans that name a silent peer.
func edgesOf(spans []sunkSpan) []string {
	byID := map[string]sunkSpan{}
	for _, s := range spans {
		byID[hexID(s.GetTraceId())+hexID(s.GetSpanId())] = s
	}
	name := func(s sunkSpan) string { return s.resource["service.namespace"] + "/" + s.resource["service.name"] }
	edges := map[string]bool{}
	for _, s := range spans {
		parent, known := byID[hexID(s.GetTraceId())+hexID(s.GetParentSpanId())]
		switch s.GetKind() {
		case tracev1.Span_SPAN_KIND_SERVER:
			if len(s.GetParentSpanId()) == 0 {
				edges["client:unknown>"+name(s)+"|http"] = true
			} else if known && parent.GetKind() == tracev1.Span_SPAN_KIND_CLIENT {
				protocol := "http"
				if s.attributes["grpc.status_code"] != "" {
					protocol = "grpc"
				}
				edges[name(parent)+">"+name(s)+"|"+protocol] = true
			}
		case tracev1.Span_SPAN_KIND_CLIENT:
			if host, ok := strings.CutPrefix(s.attributes["upstream_cluster"], "outbound|443||"); ok {
				edges[name(s)+">external:"+host+"|http"] = true
			}
			if s.attributes["db.system.name"] != "" {
				edges[name(s)+">database:"+s.attributes["server.address"]+"|database"] = true
			}
		case tracev1.Span_SPAN_KIND_PRODUCER:
			edges[name(s)+">queue:"+s.attributes["messaging.destination.name"]+"|messaging"] = true
		case tracev1.Span_SPAN_KIND_CONSUMER:
			if known && parent.GetKind() == tracev1.Span_SPAN_KIND_PRODUCER {
				edges["queue:"+s.attributes["messaging.destination.name"]+">"+name(s)+"|messaging"] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(edges))
}

func hexID(id []byte) string { return hex.EncodeToString(id) }
