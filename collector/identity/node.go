package identity

import (
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A Workload is an identity with texts of its own, where telemetry.Identity has references
// into a batch: a stream keeps it for as long as its sender stays. The fields are those of
// telemetry.Identity.
type Workload struct {
	Cluster, Namespace, Workload, Service, App, Version, Instance, Principal string
}

// Intern puts w's texts into batch b and returns the references to them.
func (w *Workload) Intern(b *telemetry.Batch) telemetry.Identity {
	return telemetry.Identity{
		Cluster:   b.InternString(w.Cluster),
		Namespace: b.InternString(w.Namespace),
		Workload:  b.InternString(w.Workload),
		Service:   b.InternString(w.Service),
		App:       b.InternString(w.App),
		Version:   b.InternString(w.Version),
		Instance:  b.InternString(w.Instance),
		Principal: b.InternString(w.Principal),
	}
}

// A Node is what an Envoy says of itself at the head of a stream
// (envoy.config.core.v3.Node): its own fields, and of the metadata those that Istio,
// and who follows it, write there.
type Node struct {
	ID, Cluster string

	Name, Namespace, WorkloadName, Owner, ClusterID, Role, Partition string

	CanonicalName, CanonicalRevision, AppName, App, Version string // of LABELS
}

// Set takes one entry of the metadata; keys that say nothing of identity are ignored.
func (n *Node) Set(key, value string) {
	switch key {
	case "NAME":
		n.Name = value
	case "NAMESPACE", "namespace":
		n.Namespace = value
	case "WORKLOAD_NAME":
		n.WorkloadName = value
	case "OWNER":
		n.Owner = value
	case "CLUSTER_ID":
		n.ClusterID = value
	case "ROLE", "role":
		n.Role = value
	case "partition": // Consul's
		n.Partition = value
	}
}

// SetLabel takes one entry of the metadata's LABELS.
func (n *Node) SetLabel(key, value string) {
	switch key {
	case "service.istio.io/canonical-name":
		n.CanonicalName = value
	case "service.istio.io/canonical-revision":
		n.CanonicalRevision = value
	case "app.kubernetes.io/name":
		n.AppName = value
	case "app":
		n.App = value
	case "version", "app.kubernetes.io/version":
		n.Version = firstText(n.Version, value)
	}
}

// Workload is who the node says it is. An empty Service means that it does not.
func (n *Node) Workload() Workload {
	w := Workload{
		Namespace: n.Namespace,
		Workload:  firstText(n.WorkloadName, ownerName(n.Owner)),
		App:       n.App,
		Version:   firstText(n.CanonicalRevision, n.Version),
		Instance:  n.Name,
	}
	if n.ClusterID != unnamedCluster {
		w.Cluster = n.ClusterID
	}
	if _, pod, ns, ok := SplitNodeID(n.ID); ok {
		w.Instance, w.Namespace = firstText(w.Instance, pod), firstText(w.Namespace, ns)
	} else {
		w.Instance = firstText(w.Instance, n.ID)
	}
	if n.Partition != "" && w.Namespace == "default" {
		// Consul's only namespace in its free edition, which nothing else there names.
		w.Namespace = ""
	}
	w.Service = firstText(n.CanonicalName, n.AppName, n.App, serviceOfCluster(n.Cluster, w.Namespace), w.Workload)
	return w
}

// Gateway says that the node stands at the mesh's edge: what it logs is at once
// a request that it got and a call that it made.
func (n *Node) Gateway() bool {
	kind, _, _, ok := SplitNodeID(n.ID)
	return ok && kind == "router" || n.Role == "gateway" || n.Role == "router"
}

// serviceOfCluster reads --service-cluster: Istio's app.namespace, App Mesh's
// mesh/name/virtualNode/name, or the service's name.
func serviceOfCluster(cluster, namespace string) string {
	if i := strings.LastIndexByte(cluster, '/'); i >= 0 {
		return cluster[i+1:]
	}
	if namespace != "" {
		return strings.TrimSuffix(cluster, "."+namespace)
	}
	return cluster
}

// ownerName is the last part of Istio's OWNER, the URL of a Kubernetes object:
// kubernetes://apis/apps/v1/namespaces/default/deployments/reviews-v1.
func ownerName(owner string) string { return owner[strings.LastIndexByte(owner, '/')+1:] }

// SplitNodeID takes Istio's node id apart: kind~address~pod.namespace~domain.
func SplitNodeID(id string) (kind, pod, namespace string, ok bool) {
	kind, rest, ok := strings.Cut(id, "~")
	if !ok {
		return "", "", "", false
	}
	_, rest, ok = strings.Cut(rest, "~")
	if !ok {
		return "", "", "", false
	}
	rest, _, ok = strings.Cut(rest, "~")
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot <= 0 || dot == len(rest)-1 {
		return "", "", "", false
	}
	return kind, rest[:dot], rest[dot+1:], true
}

func firstText(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}
