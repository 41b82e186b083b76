package envoyals

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/binnacle-mesh/binnacle/collector/identity"
	"github.com/binnacle-mesh/binnacle/internal/pb"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// place decides at which end of which edge r was seen (see the package's
// comment), names the peer, and appends r.
func (d *decoder) place(from *sender, e *entry, r telemetry.Request) error {
	c, err := decodeCerts(e.tls)
	if err != nil {
		return fmt.Errorf("tls_properties: %w", err)
	}
	b := d.Batch
	t := d.targetOf(from, e, &r, &c)
	if t.server {
		return d.served(e, &c, r)
	}
	called := r
	called.Side, called.PeerKind = telemetry.SideClient, t.kind
	called.Peer.Service, called.Peer.Namespace, called.Peer.Version = t.service, t.namespace, t.version
	if e.upstreamPeer != nil {
		called.PeerKind = telemetry.NodeService
	}
	if err := d.peerMetadata(e.upstreamPeer, &called.Peer); err != nil {
		return fmt.Errorf("upstream_peer: %w", err)
	}
	b.Requests = append(b.Requests, called)
	if !from.gateway {
		return nil
	}
	// The trace's ids in the entry are those of the call. The request that the
	// gateway got is of the same trace, but its span is not named anywhere.
	r.SpanID = telemetry.SpanID{}
	return d.served(e, &c, r)
}

// A target is what an upstream cluster's name says: whom the proxy calls, or that it
// serves.
type target struct {
	serial                      uint64          // of the batch whose strings these are
	cluster                     telemetry.StrID // not 0: the name alone says it
	server                      bool
	kind                        telemetry.NodeKind
	service, namespace, version telemetry.StrID
}

// targetOf returns the target of an entry. A sender has few clusters, so it keeps the targets of those it
// named last.
func (d *decoder) targetOf(from *sender, e *entry, r *telemetry.Request, c *certs) target {
	t := &from.targets[r.Cluster%telemetry.StrID(len(from.targets))]
	if t.cluster == r.Cluster && t.serial == d.Serial && t.cluster != 0 {
		return *t
	}
	b := d.Batch
	host, server := d.target(from, e, r, c)
	is := target{serial: d.Serial, cluster: r.Cluster, server: server}
	if !server {
		var name, namespace string
		name, namespace, is.kind = telemetry.ClassifyHost(host)
		is.service, is.namespace = b.InternString(name), b.InternString(namespace)
		is.version = b.InternString(telemetry.ParseClusterName(b.Str(r.Cluster)).Subset)
	}
	if !goesAnywhere(b.Str(r.Cluster)) {
		*t = is
	}
	return is
}

// goesAnywhere says that a cluster is one of Istio's that stand for no service: the request
// goes to the host that its authority names.
func goesAnywhere(cluster string) bool {
	return cluster == "PassthroughCluster" || cluster == "BlackHoleCluster"
}

// target says which host a client's entry calls, or that the entry is a server's.
func (d *decoder) target(from *sender, e *entry, r *telemetry.Request, c *certs) (host string, server bool) {
	// Views of the batch's strings stay valid while more are added: the table
	// may move, the bytes that a view has do not change.
	b := d.Batch
	name := b.Str(r.Cluster)
	cluster := telemetry.ParseClusterName(name)
	switch {
	case cluster.Inbound, strings.HasPrefix(name, "InboundPassthroughCluster"):
		return "", true
	case goesAnywhere(name):
		return b.Str(r.Authority), false
	case name != "":
		plain := cluster.Port == "" && cluster.Host == name
		return cluster.Host, plain && from.means(name)
	}
	const forServers = telemetry.FlagRateLimited | telemetry.FlagRateLimitService | 1<<12 // UAEX
	if e.flags&forServers != 0 || c.version || from.gateway || r.Authority == 0 {
		return "", true
	}
	host = b.Str(r.Authority)
	service, _, kind := telemetry.ClassifyHost(host)
	// Somebody else's Kubernetes name is a call; what a browser asked for is not.
	return host, kind != telemetry.NodeService || service == from.Service
}

// means says that a plain cluster name is the proxy's own workload.
func (s *sender) means(cluster string) bool {
	switch cluster {
	case s.Service, s.Workload.Workload, "local_app", "local_service", "local_agent", "localhost", "local":
		return true
	}
	if strings.HasPrefix(cluster, "inbound") || strings.HasPrefix(cluster, "cds_ingress_") {
		return true
	}
	service, ns, ok := telemetry.SplitServiceHost(cluster)
	return ok && service == s.Service && ns == s.Namespace
}

// served appends r as a request that the proxy's own workload served.
func (d *decoder) served(e *entry, c *certs, r telemetry.Request) error {
	b := d.Batch
	r.Side, r.TLS = telemetry.SideServer, c.tls()
	if own, ok := identity.ParseSPIFFE(pb.View(c.local)); ok && b.Resources[r.Resource].Identity.Principal == 0 {
		b.Resources[r.Resource].Identity.Principal = d.name(own.Principal)
	}
	if peer, ok := identity.ParseSPIFFE(pb.View(c.peer)); ok {
		r.Peer.Principal = d.name(peer.Principal)
		r.Peer.Namespace = d.name(peer.Namespace)
		r.Peer.Service = d.name(peer.Service)
	}
	if r.Peer.Service == 0 {
		r.Peer.Service = d.Text(e.downstreamCluster)
	}
	if err := d.peerMetadata(e.downstreamPeer, &r.Peer); err != nil {
		return fmt.Errorf("downstream_peer: %w", err)
	}
	if r.Peer.Service != 0 {
		r.PeerKind = telemetry.NodeService
	}
	b.Requests = append(b.Requests, r)
	return nil
}

// peerMetadata reads what Istio's proxies tell one another about themselves, an Any of a
// google.protobuf.Struct. It is more reliable than what a host's name suggests.
func (d *decoder) peerMetadata(msg []byte, id *telemetry.Identity) error {
	if msg == nil {
		return nil
	}
	url, value, err := mapEntry(msg) // an Any has the same two fields
	if err != nil || string(url) != "type.googleapis.com/google.protobuf.Struct" {
		return err
	}
	set := func(p *telemetry.StrID, text string) {
		if text != "" {
			*p = d.name(text)
		}
	}
	return eachField(value, func(key, text, _ []byte) error {
		switch string(key) {
		case "service":
			set(&id.Service, pb.View(text))
		case "namespace":
			set(&id.Namespace, pb.View(text))
		case "workload":
			set(&id.Workload, pb.View(text))
		case "app":
			set(&id.App, pb.View(text))
		case "version":
			set(&id.Version, pb.View(text))
		case "name":
			set(&id.Instance, pb.View(text))
		case "identity":
			if s, ok := identity.ParseSPIFFE(pb.View(text)); ok {
				set(&id.Principal, s.Principal)
			}
		}
		return nil
	})
}

// name interns a part of a peer's name.
func (d *decoder) name(s string) telemetry.StrID {
	return d.Text(unsafe.Slice(unsafe.StringData(s), len(s)))
}

// certs is what TLSProperties say of a connection and its certificates.
type certs struct {
	version     bool // there was a TLS connection
	named       bool // the peer had a certificate
	local, peer []byte
}

func (c *certs) tls() telemetry.TLS {
	switch {
	case c.named:
		return telemetry.TLSMutual
	case c.version:
		return telemetry.TLSOneWay
	default:
		return telemetry.TLSNone
	}
}

func decodeCerts(msg []byte) (c certs, err error) {
	c.version = msg != nil
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 4<<3 | pb.Bytes:
			c.local, _, err = alternativeName(r.Bytes())
		case 5<<3 | pb.Bytes:
			c.peer, c.named, err = alternativeName(r.Bytes())
		}
		if err != nil {
			return c, err
		}
	}
	return c, r.Err
}

// alternativeName reads a CertificateProperties: its first URI, and whether it
// names anybody at all.
func alternativeName(msg []byte) (uri []byte, named bool, err error) {
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Bytes:
			named = true
			n := pb.Over(r.Bytes())
			for n.Next() {
				if n.Tag == 1<<3|pb.Bytes && uri == nil {
					uri = n.Bytes()
				}
			}
			if n.Err != nil {
				return nil, false, n.Err
			}
		case 2<<3 | pb.Bytes:
			named = named || len(r.Bytes()) != 0
		}
	}
	return uri, named, r.Err
}
