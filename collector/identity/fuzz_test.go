package identity

import (
	"testing"
	"unicode/utf8"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// FuzzNames feeds anything to all that takes names apart.
func FuzzNames(f *testing.F) {
	f.Add("sidecar~10.1.2.3~reviews-v1-5d.default~default.svc.cluster.local", "reviews.default", "default")
	f.Add("router~~.~", "mesh/shop/virtualNode/cart", "")
	f.Add("spiffe://cluster.local/ns/shop/sa/cart", "outbound|9080|v1|reviews.default.svc.cluster.local", "shop")
	f.Add("spiffe://a.consul/ns/default/dc/dc1/svc/web", "[::1]:80", "x")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if kind, pod, ns, ok := SplitNodeID(a); ok && len(kind)+len(pod)+len(ns)+4 > len(a) {
			t.Errorf("SplitNodeID(%q) made more than there was", a)
		}
		if s, ok := ParseSPIFFE(a); ok && len(s.Principal)+len("spiffe://") != len(a) {
			t.Errorf("ParseSPIFFE(%q) has principal %q", a, s.Principal)
		}
		telemetry.ClassifyHost(telemetry.ParseClusterName(b).Host)
		telemetry.ClassifyHost(b)
		n := Node{ID: a, Cluster: b}
		n.Set("NAMESPACE", c)
		n.Set("OWNER", a)
		w := n.Workload()
		n.Gateway()

		batch := telemetry.NewBatch()
		id := w.Intern(batch)
		if batch.Str(id.Service) != w.Service || batch.Str(id.Namespace) != w.Namespace {
			t.Errorf("Intern changed %+v", w)
		}
		if !utf8.ValidString(a + b + c) {
			return
		}
		attr := func(key telemetry.StrID, v string) telemetry.Attr {
			return telemetry.Attr{Key: key, Value: uint64(batch.InternString(v))}
		}
		got := OfResource(batch,
			[]telemetry.Attr{attr(telemetry.KeyServiceName, b), attr(telemetry.KeyServiceNamespace, c)},
			[]telemetry.Attr{attr(telemetry.KeyNodeID, a)})
		if b != "" && batch.Str(got.Service) == "" {
			t.Errorf("service.name %q was lost", b)
		}
	})
}
