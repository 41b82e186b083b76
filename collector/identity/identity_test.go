package identity

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// workloadOf is id by value.
func workloadOf(b *telemetry.Batch, id telemetry.Identity) Workload {
	return Workload{
		Cluster: b.CopyStr(id.Cluster), Namespace: b.CopyStr(id.Namespace), Workload: b.CopyStr(id.Workload), Service: b.CopyStr(id.Service),
		App: b.CopyStr(id.App), Version: b.CopyStr(id.Version), Instance: b.CopyStr(id.Instance), Principal: b.CopyStr(id.Principal),
	}
}

func attrs(b *telemetry.Batch, kvs ...string) (out []telemetry.Attr) {
	for i := 0; i < len(kvs); i += 2 {
		out = append(out, telemetry.Attr{Key: b.InternString(kvs[i]), Value: uint64(b.InternString(kvs[i+1]))})
	}
	return out
}

func TestOfResource(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		resource, span []string
		want           Workload
	}{
		"an SDK": {
			resource: []string{"service.name", "cart", "service.namespace", "shop", "service.version", "1.2", "service.instance.id", "cart-1"},
			want:     Workload{Namespace: "shop", Service: "cart", Version: "1.2", Instance: "cart-1"},
		},
		"an SDK in Kubernetes": {
			resource: []string{"service.name", "cart", "service.namespace", "team", "k8s.namespace.name", "shop", "k8s.deployment.name", "cart-v1", "k8s.pod.name", "cart-v1-x", "k8s.cluster.name", "eu", "host.name", "node"},
			want:     Workload{Cluster: "eu", Namespace: "shop", Workload: "cart-v1", Service: "cart", Instance: "cart-v1-x"},
		},
		"a pod without a service name": {
			resource: []string{"k8s.namespace.name", "shop", "k8s.statefulset.name", "db"},
			want:     Workload{Namespace: "shop", Workload: "db", Service: "db"},
		},
		"Istio's proxy": {
			resource: []string{"service.name", "reviews.default"},
			span:     []string{"istio.canonical_service", "reviews", "istio.canonical_revision", "v1", "istio.namespace", "default", "istio.cluster_id", "Kubernetes"},
			want:     Workload{Namespace: "default", Service: "reviews", Version: "v1"},
		},
		"Istio's proxy, of a named cluster": {
			resource: []string{"service.name", "reviews.default"},
			span:     []string{"istio.canonical_service", "reviews", "istio.namespace", "default", "istio.cluster_id", "east"},
			want:     Workload{Cluster: "east", Namespace: "default", Service: "reviews"},
		},
		"an Envoy that names its node": {
			resource: []string{"service.name", "reviews.default"},
			span:     []string{"node_id", "sidecar~10.0.0.1~reviews-v1-x.default~default.svc.cluster.local"},
			want:     Workload{Namespace: "default", Service: "reviews", Instance: "reviews-v1-x"},
		},
		"a dot that is no namespace": {
			resource: []string{"service.name", "example.com", "service.namespace", "web"},
			want:     Workload{Namespace: "web", Service: "example.com"},
		},
		"a span that says what the resource does": {
			resource: []string{"service.name", "cart", "service.namespace", "shop"},
			span:     []string{"node_id", "sidecar~10.0.0.1~other-v1-x.elsewhere~x", "service.name", "other"},
			want:     Workload{Namespace: "shop", Service: "cart"},
		},
		"nobody": {},
	} {
		b := telemetry.NewBatch()
		got := workloadOf(b, OfResource(b, attrs(b, c.resource...), attrs(b, c.span...)))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNode(t *testing.T) {
	t.Parallel()
	node := func(id, cluster string, meta, labels map[string]string) *Node {
		n := &Node{ID: id, Cluster: cluster}
		for k, v := range meta {
			n.Set(k, v)
		}
		for k, v := range labels {
			n.SetLabel(k, v)
		}
		return n
	}
	type m = map[string]string
	for name, c := range map[string]struct {
		node    *Node
		want    Workload
		gateway bool
	}{
		"Istio": {
			node: node("sidecar~10.1.2.3~reviews-v1-5d.default~default.svc.cluster.local", "reviews.default",
				m{"NAME": "reviews-v1-5d", "NAMESPACE": "default", "WORKLOAD_NAME": "reviews-v1", "CLUSTER_ID": "Kubernetes"},
				m{"app": "reviews-app", "version": "v1", "service.istio.io/canonical-name": "reviews", "service.istio.io/canonical-revision": "r1"}),
			want: Workload{Namespace: "default", Workload: "reviews-v1", Service: "reviews", App: "reviews-app", Version: "r1", Instance: "reviews-v1-5d"},
		},
		"Istio, without metadata": {
			node: node("sidecar~10.1.2.3~reviews-v1-5d.default~default.svc.cluster.local", "reviews.default", nil, nil),
			want: Workload{Namespace: "default", Service: "reviews", Instance: "reviews-v1-5d"},
		},
		"Istio, by owner alone": {
			node: node("waypoint~10.1.2.3~w-5d.books~books.svc.cluster.local", "", m{"OWNER": "kubernetes://apis/apps/v1/namespaces/books/deployments/waypoint"}, nil),
			want: Workload{Namespace: "books", Workload: "waypoint", Service: "waypoint", Instance: "w-5d"},
		},
		"Istio's gateway": {
			node:    node("router~10.1.2.3~gw-5d.edge~edge.svc.cluster.local", "gw.edge", nil, nil),
			want:    Workload{Namespace: "edge", Service: "gw", Instance: "gw-5d"},
			gateway: true,
		},
		"a plain Envoy": {
			node: node("cart-7f", "cart", nil, nil),
			want: Workload{Service: "cart", Instance: "cart-7f"},
		},
		"a plain Envoy at the edge": {
			node:    node("front", "front", m{"role": "gateway", "namespace": "web"}, nil),
			want:    Workload{Namespace: "web", Service: "front", Instance: "front"},
			gateway: true,
		},
		"Consul": {
			node: node("web-sidecar-proxy", "web", m{"namespace": "default", "partition": "default"}, nil),
			want: Workload{Service: "web", Instance: "web-sidecar-proxy"},
		},
		"App Mesh": {
			node: node("mesh/shop/virtualNode/cart", "mesh/shop/virtualNode/cart", nil, nil),
			want: Workload{Service: "cart", Instance: "mesh/shop/virtualNode/cart"},
		},
		"nobody": {node: node("", "", nil, nil)},
	} {
		if diff := cmp.Diff(c.want, c.node.Workload()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if c.node.Gateway() != c.gateway {
			t.Errorf("%s: gateway is %v", name, !c.gateway)
		}
	}
}

// TestSameWorkload is the package's purpose: one workload, told of in each
// tongue, has one service and one namespace.
func TestSameWorkload(t *testing.T) {
	t.Parallel()
	b := telemetry.NewBatch()
	istio := Node{ID: "sidecar~10.1.2.3~reviews-v1-5d.default~default.svc.cluster.local", Cluster: "reviews.default"}
	istio.Set("NAMESPACE", "default")
	istio.Set("CLUSTER_ID", "Kubernetes")
	labelled := istio
	labelled.SetLabel("app", "reviews")
	host, namespace, _ := telemetry.ClassifyHost(telemetry.ParseClusterName("outbound|9080|v1|reviews.default.svc.cluster.local").Host)
	told := map[string][3]string{}
	for name, w := range map[string]Workload{
		"an access log":        istio.Workload(),
		"... with labels":      labelled.Workload(),
		"its SDK":              workloadOf(b, OfResource(b, attrs(b, "service.name", "reviews", "k8s.namespace.name", "default"), nil)),
		"its proxy's spans":    workloadOf(b, OfResource(b, attrs(b, "service.name", "reviews.default"), attrs(b, "istio.canonical_service", "reviews", "istio.namespace", "default", "istio.cluster_id", "Kubernetes"))),
		"... by node id":       workloadOf(b, OfResource(b, attrs(b, "service.name", "reviews.default"), attrs(b, "node_id", istio.ID))),
		"a caller, by cluster": {Service: host, Namespace: namespace},
	} {
		told[name] = [3]string{w.Cluster, w.Namespace, w.Service}
	}
	for name, got := range told {
		if got != [3]string{"", "default", "reviews"} {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestParseSPIFFE(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]SPIFFE{
		"spiffe://cluster.local/ns/shop/sa/cart":           {Principal: "cluster.local/ns/shop/sa/cart", Namespace: "shop", Account: "cart"},
		"SPIFFE://cluster.local/ns/shop/sa/cart":           {Principal: "cluster.local/ns/shop/sa/cart", Namespace: "shop", Account: "cart"},
		"spiffe://0a1b.consul/ns/default/dc/dc1/svc/web":   {Principal: "0a1b.consul/ns/default/dc/dc1/svc/web", Service: "web"},
		"spiffe://0a1b.consul/ap/x/ns/team/dc/dc1/svc/web": {Principal: "0a1b.consul/ap/x/ns/team/dc/dc1/svc/web", Namespace: "team", Service: "web"},
		"spiffe://example.org/billing/payments":            {Principal: "example.org/billing/payments"},
		"spiffe://example.org":                             {Principal: "example.org"},
	} {
		if got, ok := ParseSPIFFE(uri); !ok || got != want {
			t.Errorf("%s: %+v %v, want %+v", uri, got, ok, want)
		}
	}
	for _, uri := range []string{"", "spiffe://", "spiffe:///ns/x", "https://example.org/ns/x", "cluster.local/ns/x/sa/y"} {
		if got, ok := ParseSPIFFE(uri); ok {
			t.Errorf("%s: taken as %+v", uri, got)
		}
	}
}
