package identity

import (
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// unnamedCluster is what Istio calls a cluster that nobody has given a name. It is read as no
// name, which is what an SDK says of such a cluster.
const unnamedCluster = "Kubernetes"

// OfResource reads the identity out of a resource's attributes, and what these
// leave open out of the attributes of one of its spans: Istio's proxies write
// there what they know of themselves. An empty Service means that the sender does
// not say who it is.
//
// It takes b to intern names that are part of a longer one; attrs and span are
// runs of b.Attrs.
func OfResource(b *telemetry.Batch, attrs, span []telemetry.Attr) telemetry.Identity {
	var f facts
	for _, a := range attrs {
		f.note(a)
	}
	if f.canonical == 0 && (f.k8sNamespace == 0 && f.namespace == 0 || f.service == 0) {
		var s facts
		for _, a := range span {
			s.note(a)
		}
		f.canonical, f.revision, f.istioNamespace, f.istioCluster, f.nodeID =
			first(f.canonical, s.canonical), first(f.revision, s.revision), first(f.istioNamespace, s.istioNamespace),
			first(f.istioCluster, s.istioCluster), first(f.nodeID, s.nodeID)
	}
	id := telemetry.Identity{
		Cluster:   f.cluster,
		Namespace: first(f.k8sNamespace, f.namespace, f.istioNamespace),
		Workload:  first(f.deployment, f.statefulSet, f.daemonSet),
		Version:   first(f.version, f.revision),
		Instance:  first(f.instance, f.pod, f.host),
	}
	if id.Cluster == 0 && b.Str(f.istioCluster) != unnamedCluster {
		id.Cluster = f.istioCluster
	}
	if id.Namespace == 0 && f.nodeID != 0 {
		if _, pod, ns, ok := SplitNodeID(b.Str(f.nodeID)); ok {
			// Both are views of the batch's strings, which interning may move.
			pod, ns := strings.Clone(pod), strings.Clone(ns)
			id.Namespace, id.Instance = b.InternString(ns), first(id.Instance, b.InternString(pod))
		}
	}
	id.Service = first(f.canonical, withoutNamespace(b, f.service, id.Namespace), id.Workload)
	return id
}

// withoutNamespace is service without the ".namespace" that Istio's tracer
// configuration puts behind it.
func withoutNamespace(b *telemetry.Batch, service, namespace telemetry.StrID) telemetry.StrID {
	if namespace == 0 {
		return service
	}
	s, ns := b.Str(service), b.Str(namespace)
	if n := len(s) - len(ns) - 1; n > 0 && s[n] == '.' && s[n+1:] == ns {
		return b.InternString(strings.Clone(s[:n]))
	}
	return service
}

// facts is what one walk over attributes finds.
type facts struct {
	service, namespace, version, instance telemetry.StrID
	cluster, k8sNamespace, pod, host      telemetry.StrID
	deployment, statefulSet, daemonSet    telemetry.StrID
	canonical, revision                   telemetry.StrID
	istioNamespace, istioCluster, nodeID  telemetry.StrID
}

func (f *facts) note(a telemetry.Attr) {
	if a.Type != telemetry.AttrString {
		return
	}
	switch a.Key {
	case telemetry.KeyServiceName:
		f.service = a.String()
	case telemetry.KeyServiceNamespace:
		f.namespace = a.String()
	case telemetry.KeyServiceVersion:
		f.version = a.String()
	case telemetry.KeyServiceInstanceID:
		f.instance = a.String()
	case telemetry.KeyK8sClusterName:
		f.cluster = a.String()
	case telemetry.KeyK8sNamespaceName:
		f.k8sNamespace = a.String()
	case telemetry.KeyK8sPodName:
		f.pod = a.String()
	case telemetry.KeyHostName:
		f.host = a.String()
	case telemetry.KeyK8sDeploymentName:
		f.deployment = a.String()
	case telemetry.KeyK8sStatefulSetName:
		f.statefulSet = a.String()
	case telemetry.KeyK8sDaemonSetName:
		f.daemonSet = a.String()
	case telemetry.KeyIstioCanonicalService:
		f.canonical = a.String()
	case telemetry.KeyIstioCanonicalRevision:
		f.revision = a.String()
	case telemetry.KeyIstioNamespace:
		f.istioNamespace = a.String()
	case telemetry.KeyIstioClusterID:
		f.istioCluster = a.String()
	case telemetry.KeyNodeID:
		f.nodeID = a.String()
	default:
	}
}

func first(ids ...telemetry.StrID) telemetry.StrID {
	for _, id := range ids {
		if id != 0 {
			return id
		}
	}
	return 0
}
