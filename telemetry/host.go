package telemetry

import "strings"

// ClusterName is an Envoy cluster's name taken apart.
type ClusterName struct {
	Inbound bool   // Istio's inbound|port||: the proxy's own workload
	Port    string // "" in a plain name
	Subset  string // Istio's subset, usually the version
	Host    string // the service's host, or the whole of a plain name; "" for inbound
}

// ParseClusterName reads Istio's direction|port|subset|host, Consul's
// service.namespace.dc.internal.trust-domain.consul, and plain names.
func ParseClusterName(s string) ClusterName {
	dir, rest, ok := strings.Cut(s, "|")
	if !ok {
		if strings.HasSuffix(s, ".consul") {
			s, _, _ = strings.Cut(s, ".")
		}
		return ClusterName{Host: s}
	}
	var c ClusterName
	c.Inbound = dir == "inbound"
	c.Port, rest, _ = strings.Cut(rest, "|")
	c.Subset, c.Host, _ = strings.Cut(rest, "|")
	return c
}

// SplitServiceHost takes a Kubernetes service's DNS name apart:
// reviews.default.svc and reviews.default.svc.cluster.local. ok is false for
// any other host.
func SplitServiceHost(host string) (service, namespace string, ok bool) {
	service, rest, ok := strings.Cut(host, ".")
	if !ok {
		return "", "", false
	}
	namespace, rest, ok = strings.Cut(rest, ".")
	if !ok || rest != "svc" && !strings.HasPrefix(rest, "svc.") {
		return "", "", false
	}
	return service, namespace, service != "" && namespace != ""
}

// ClassifyHost says what a host's name tells of the node behind it: a
// Kubernetes service is a service; a name with dots is outside the mesh; an
// address or a bare name is unknown until a service of that name reports.
func ClassifyHost(host string) (name, namespace string, kind NodeKind) {
	if i := strings.LastIndexByte(host, ':'); i > 0 && strings.IndexByte(host, ':') == i {
		host = host[:i]
	}
	if service, ns, ok := SplitServiceHost(host); ok {
		return service, ns, NodeService
	}
	if strings.IndexByte(host, '.') < 0 || isAddress(host) || host == "localhost" {
		return host, "", NodeUnknown
	}
	return host, "", NodeExternal
}

// isAddress says that a host with a dot or colon is an address and not a name.
func isAddress(host string) bool {
	for i := 0; i < len(host); i++ {
		if c := host[i]; c != '.' && (c < '0' || c > '9') {
			return strings.IndexByte(host, ':') >= 0
		}
	}
	return true
}

// URLHost is the host and port of an absolute URL, "" if it has none.
func URLHost(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest[strings.LastIndexByte(rest, '@')+1:]
}
