package identity

import "strings"

// A SPIFFE is the name in a workload's certificate, taken apart as far as
// Istio's and Consul's forms go.
type SPIFFE struct {
	Principal string // the id without its scheme: cluster.local/ns/shop/sa/cart
	Namespace string
	Account   string // Kubernetes service account
	Service   string // where the id names the service itself, as Consul's does
}

// ParseSPIFFE reads spiffe://domain/ns/namespace/sa/account (Istio, Linkerd's
// bridge) and spiffe://domain/ns/namespace/dc/datacenter/svc/service (Consul); of any
// other SPIFFE id it knows the principal alone. ok is false for what is no
// SPIFFE id.
func ParseSPIFFE(uri string) (s SPIFFE, ok bool) {
	const scheme = "spiffe://"
	if len(uri) <= len(scheme) || !strings.EqualFold(uri[:len(scheme)], scheme) {
		return SPIFFE{}, false
	}
	s.Principal = uri[len(scheme):]
	domain, path, _ := strings.Cut(s.Principal, "/")
	for path != "" {
		var key, value string
		key, path, _ = strings.Cut(path, "/")
		value, path, _ = strings.Cut(path, "/")
		switch key {
		case "ns":
			s.Namespace = value
		case "sa":
			s.Account = value
		case "svc":
			s.Service = value
		}
	}
	if s.Service != "" && s.Namespace == "default" {
		s.Namespace = "" // as in Node.Workload
	}
	return s, domain != ""
}
