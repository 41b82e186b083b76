package telemetry

// Attribute keys that the graph and the signals read, OpenTelemetry's semantic
// conventions first, older names and Envoy's tags after. They have the same
// StrID in every batch, so that reading one is comparing a number.
//
// The list is append-only: records name these strings by number (see
// record.go). Source: OpenTelemetry semantic conventions 1.37 and their predecessors;
// Envoy's tracing tags (envoy/source/common/tracing); Jaeger's clients and Honeycomb's samplers.
const (
	_ StrID = iota
	KeyServiceName
	KeyServiceNamespace
	KeyServiceVersion
	KeyServiceInstanceID
	KeyK8sClusterName
	KeyK8sNamespaceName
	KeyK8sDeploymentName
	KeyK8sStatefulSetName
	KeyK8sDaemonSetName
	KeyK8sPodName
	KeyHostName
	KeyPeerService
	KeyServerAddress
	KeyServerPort
	KeyNetPeerName
	KeyNetworkPeerAddress
	KeyNetSockPeerAddr
	KeyHTTPRequestMethod
	KeyHTTPMethod
	KeyHTTPResponseStatusCode
	KeyHTTPStatusCode
	KeyHTTPRoute
	KeyURLPath
	KeyURLFull
	KeyURLTemplate
	KeyHTTPURL
	KeyHTTPHost
	KeyRPCSystem
	KeyRPCService
	KeyRPCMethod
	KeyRPCGRPCStatusCode
	KeyRPCResponseStatusCode
	KeyDBSystemName
	KeyDBSystem
	KeyDBNamespace
	KeyDBName
	KeyDBOperationName
	KeyDBQueryText
	KeyMessagingSystem
	KeyMessagingDestinationName
	KeyMessagingDestination
	KeyMessagingOperationType
	KeyError
	KeyErrorType
	KeyUpstreamCluster
	KeyUpstreamClusterName
	KeyResponseFlags
	KeyGRPCStatusCode
	KeyGRPCPath
	KeyNodeID
	KeyIstioCanonicalService
	KeyIstioCanonicalRevision
	KeyIstioNamespace
	KeyIstioClusterID
	KeyPeerAddress
	KeyUserAgentOriginal
	KeyClientAddress
	KeyNetworkProtocolVersion
	KeyNetworkPeerPort
	KeyURLScheme
	KeyRPCSystemName
	KeyComponent
	KeyServicePeerName
	KeyServicePeerNamespace
	KeyNetPeerIP
	KeyNetSockPeerName
	KeyPeerHostname
	KeyMessageBusDestination
	KeyDBType
	KeyDBInstance
	KeySampleRate
	KeySamplerType
	KeySamplerParam
	KeySamplingProbability
	numWellKnown
)

var wellKnown = [numWellKnown]string{ //nolint:gochecknoglobals // immutable
	KeyServiceName:              "service.name",
	KeyServiceNamespace:         "service.namespace",
	KeyServiceVersion:           "service.version",
	KeyServiceInstanceID:        "service.instance.id",
	KeyK8sClusterName:           "k8s.cluster.name",
	KeyK8sNamespaceName:         "k8s.namespace.name",
	KeyK8sDeploymentName:        "k8s.deployment.name",
	KeyK8sStatefulSetName:       "k8s.statefulset.name",
	KeyK8sDaemonSetName:         "k8s.daemonset.name",
	KeyK8sPodName:               "k8s.pod.name",
	KeyHostName:                 "host.name",
	KeyPeerService:              "peer.service",
	KeyServerAddress:            "server.address",
	KeyServerPort:               "server.port",
	KeyNetPeerName:              "net.peer.name",
	KeyNetworkPeerAddress:       "network.peer.address",
	KeyNetSockPeerAddr:          "net.sock.peer.addr",
	KeyHTTPRequestMethod:        "http.request.method",
	KeyHTTPMethod:               "http.method",
	KeyHTTPResponseStatusCode:   "http.response.status_code",
	KeyHTTPStatusCode:           "http.status_code",
	KeyHTTPRoute:                "http.route",
	KeyURLPath:                  "url.path",
	KeyURLFull:                  "url.full",
	KeyURLTemplate:              "url.template",
	KeyHTTPURL:                  "http.url",
	KeyHTTPHost:                 "http.host",
	KeyRPCSystem:                "rpc.system",
	KeyRPCService:               "rpc.service",
	KeyRPCMethod:                "rpc.method",
	KeyRPCGRPCStatusCode:        "rpc.grpc.status_code",
	KeyRPCResponseStatusCode:    "rpc.response.status_code",
	KeyDBSystemName:             "db.system.name",
	KeyDBSystem:                 "db.system",
	KeyDBNamespace:              "db.namespace",
	KeyDBName:                   "db.name",
	KeyDBOperationName:          "db.operation.name",
	KeyDBQueryText:              "db.query.text",
	KeyMessagingSystem:          "messaging.system",
	KeyMessagingDestinationName: "messaging.destination.name",
	KeyMessagingDestination:     "messaging.destination",
	KeyMessagingOperationType:   "messaging.operation.type",
	KeyError:                    "error",
	KeyErrorType:                "error.type",
	KeyUpstreamCluster:          "upstream_cluster",
	KeyUpstreamClusterName:      "upstream_cluster.name",
	KeyResponseFlags:            "response_flags",
	KeyGRPCStatusCode:           "grpc.status_code",
	KeyGRPCPath:                 "grpc.path",
	KeyNodeID:                   "node_id",
	KeyIstioCanonicalService:    "istio.canonical_service",
	KeyIstioCanonicalRevision:   "istio.canonical_revision",
	KeyIstioNamespace:           "istio.namespace",
	KeyIstioClusterID:           "istio.cluster_id",
	KeyPeerAddress:              "peer.address",
	KeyUserAgentOriginal:        "user_agent.original",
	KeyClientAddress:            "client.address",
	KeyNetworkProtocolVersion:   "network.protocol.version",
	KeyNetworkPeerPort:          "network.peer.port",
	KeyURLScheme:                "url.scheme",
	KeyRPCSystemName:            "rpc.system.name",
	KeyComponent:                "component",
	KeyServicePeerName:          "service.peer.name",
	KeyServicePeerNamespace:     "service.peer.namespace",
	KeyNetPeerIP:                "net.peer.ip",
	KeyNetSockPeerName:          "net.sock.peer.name",
	KeyPeerHostname:             "peer.hostname",
	KeyMessageBusDestination:    "message_bus.destination",
	KeyDBType:                   "db.type",
	KeyDBInstance:               "db.instance",
	KeySampleRate:               "SampleRate",
	KeySamplerType:              "sampler.type",
	KeySamplerParam:             "sampler.param",
	KeySamplingProbability:      "sampling.probability",
}

// FinishSpan reads the attributes of span i, once they are all in the batch,
// and fills the fields that say what the span means: protocol, peer, code,
// outcome, weight. A decoder calls it for each span; a record keeps the result.
func (b *Batch) FinishSpan(i int) {
	s := &b.Spans[i]
	var f spanFacts
	f.http, f.grpc = -1, -1
	for _, a := range b.AttrsOf(s.Attrs) {
		if a.Key < numWellKnown {
			f.note(b, a)
		}
	}
	s.Response = f.flags
	s.Cluster = f.cluster
	s.Code = -1
	switch {
	case f.dbSystem != 0:
		s.Protocol, s.PeerKind, s.PeerSys = ProtocolDatabase, NodeDatabase, f.dbSystem
		s.Peer = first(f.peerService, f.host, f.address, f.dbName, f.dbSystem)
	case f.mqSystem != 0 || s.Kind >= KindProducer && first(f.mqDest, f.peerService) != 0:
		// What a producer or consumer calls its peer is the broker, whatever the convention.
		s.Protocol, s.PeerSys = ProtocolMessaging, f.mqSystem
		if s.Peer = first(f.mqDest, f.peerService, f.host, f.mqSystem); s.Kind >= KindServer || s.Kind == KindUnspecified {
			s.PeerKind = NodeQueue
		}
	case f.isGRPC || f.grpc >= 0:
		s.Protocol, s.Code = ProtocolGRPC, f.grpc
	case f.isHTTP || f.http >= 0:
		s.Protocol, s.Code = ProtocolHTTP, f.http
	}
	switch {
	case s.PeerKind != NodeUnknown:
	case s.Kind == KindClient || s.Kind == KindProducer:
		b.namePeer(s, &f)
	case s.Kind != KindInternal && f.peerService != 0:
		b.namePeer(s, &f) // a server's span says by whom it was called; one of no kind, whom it calls
	}
	s.Outcome = spanOutcome(s, &f)
	if s.TraceState != 0 || f.sampler != (sampler{}) {
		s.Weight = b.weigh(s, &f.sampler)
	}
}

// namePeer names the far end of a call by the best that the span says: the
// service's name as its caller configured it, the mesh's cluster, the host.
func (b *Batch) namePeer(s *Span, f *spanFacts) {
	switch {
	case f.peerService != 0:
		s.Peer = f.peerService
		if f.peerNamespace != 0 {
			s.PeerNamespace, s.PeerKind = f.peerNamespace, NodeService
		} else if name, ns, ok := SplitServiceHost(b.Str(first(f.host, f.peerService))); ok && name == b.Str(f.peerService) {
			s.PeerNamespace, s.PeerKind = b.InternString(ns), NodeService
		}
	case f.cluster != 0:
		c := ParseClusterName(b.Str(f.cluster))
		s.Peer, s.PeerNamespace, s.PeerKind = b.peerHost(c.Host)
	default:
		host := b.Str(first(f.host, f.address))
		if host == "" && f.url != 0 {
			host = URLHost(b.Str(f.url))
		}
		if host != "" {
			s.Peer, s.PeerNamespace, s.PeerKind = b.peerHost(host)
		}
	}
}

// peerHost turns a host into a peer's name, namespace and kind.
func (b *Batch) peerHost(host string) (name, namespace StrID, kind NodeKind) {
	n, ns, kind := ClassifyHost(host)
	// Both are views of the arena, which Intern may move: take the first
	// before the second is made.
	name = b.InternString(n)
	if ns != "" {
		namespace = b.InternString(ns)
	}
	return name, namespace, kind
}

// spanFacts is what one walk over a span's attributes finds.
type spanFacts struct {
	peerService, host, address, url    StrID
	peerNamespace                      StrID
	dbSystem, dbName, mqSystem, mqDest StrID
	cluster                            StrID
	http, grpc                         int32
	flags                              ResponseFlags
	isHTTP, isGRPC, isError            bool
	sampler                            sampler
}

func (f *spanFacts) note(b *Batch, a Attr) {
	switch a.Key {
	case KeyServicePeerName:
		f.peerService = first(text(a), f.peerService)
	case KeyPeerService:
		f.peerService = first(f.peerService, text(a))
	case KeyServicePeerNamespace:
		f.peerNamespace = text(a)
	case KeyServerAddress:
		f.host = first(text(a), f.host)
	case KeyNetPeerName, KeyHTTPHost, KeyNetSockPeerName, KeyPeerHostname:
		f.host = first(f.host, text(a))
	case KeyNetworkPeerAddress:
		f.address = first(text(a), f.address)
	case KeyNetSockPeerAddr, KeyNetPeerIP:
		f.address = first(f.address, text(a))
	case KeyURLFull, KeyHTTPURL:
		f.url = first(f.url, text(a))
	case KeyHTTPRequestMethod, KeyHTTPMethod:
		f.isHTTP = true
	case KeyHTTPResponseStatusCode, KeyHTTPStatusCode:
		f.http = b.number(a)
	case KeyRPCSystem, KeyRPCSystemName:
		f.isGRPC = b.Str(text(a)) == "grpc"
	case KeyRPCGRPCStatusCode, KeyGRPCStatusCode, KeyRPCResponseStatusCode:
		f.grpc = b.grpcCode(a)
	case KeyGRPCPath:
		f.isGRPC = true
	case KeyDBSystemName:
		f.dbSystem = text(a)
	case KeyDBSystem, KeyDBType:
		f.dbSystem = first(f.dbSystem, text(a))
	case KeyDBNamespace:
		f.dbName = first(text(a), f.dbName)
	case KeyDBName, KeyDBInstance:
		f.dbName = first(f.dbName, text(a))
	case KeyMessagingSystem:
		f.mqSystem = text(a)
	case KeyMessagingDestinationName:
		f.mqDest = first(text(a), f.mqDest)
	case KeyMessagingDestination, KeyMessageBusDestination:
		f.mqDest = first(f.mqDest, text(a))
	case KeyUpstreamClusterName, KeyUpstreamCluster:
		f.cluster = first(text(a), f.cluster)
	case KeyResponseFlags:
		f.flags = ParseResponseFlags(b.Str(text(a)))
	case KeyError:
		f.isError = a.Type == AttrBool && a.Value == 1 || a.Type == AttrString && b.Str(a.String()) != "false"
	case KeySampleRate:
		f.sampler.rate = b.real(a)
	case KeySamplingProbability:
		f.sampler.probability = b.real(a)
	case KeySamplerType:
		f.sampler.probabilistic = b.Str(text(a)) == "probabilistic"
	case KeySamplerParam:
		f.sampler.param = b.real(a)
	}
}

func text(a Attr) StrID {
	if a.Type == AttrString {
		return a.String()
	}
	return 0
}

func first(ids ...StrID) StrID {
	for _, id := range ids {
		if id != 0 {
			return id
		}
	}
	return 0
}

// number reads a status code, which older systems write as text; -1 if it is none.
func (b *Batch) number(a Attr) int32 {
	switch a.Type {
	case AttrInt:
		if v := int64(a.Value); v >= 0 && v < 1<<16 {
			return int32(v)
		}
	case AttrString:
		return decimal(b.Bytes(a.String()))
	default:
	}
	return -1
}

func decimal(s []byte) int32 {
	if len(s) == 0 || len(s) > 5 {
		return -1
	}
	var n int32
	for _, c := range s {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int32(c-'0')
	}
	return n
}

// grpcCode is number, or the code's name as newer conventions write it.
func (b *Batch) grpcCode(a Attr) int32 {
	if n := b.number(a); n >= 0 || a.Type != AttrString {
		return n
	}
	name := b.Str(a.String())
	for i, c := range grpcCodes {
		if c == name {
			return int32(i)
		}
	}
	return -1
}

var grpcCodes = [...]string{ //nolint:gochecknoglobals // immutable
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
	"UNAUTHENTICATED",
}

func spanOutcome(s *Span, f *spanFacts) Outcome {
	if o := OutcomeOf(s.Protocol, s.Code, s.Response); o != OutcomeOK {
		return o
	}
	if s.Status != StatusError && !f.isError {
		return OutcomeOK
	}
	// By the conventions a client's span is in error for any 4xx. On an edge a
	// 4xx is the caller's own doing, and both witnesses must count alike.
	if s.Protocol == ProtocolHTTP && s.Code >= 400 && s.Code < 500 && s.Kind == KindClient {
		return OutcomeOK
	}
	return OutcomeError
}

// OutcomeOf says how a request ended by its code and the proxy's flags:
// HTTP 429, gRPC RESOURCE_EXHAUSTED and Envoy's RL are throttled; HTTP 5xx,
// HTTP 0 (no response), and the gRPC codes that say the server failed
// (UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE,
// DATA_LOSS: those that OpenTelemetry counts as a server's error) are errors.
func OutcomeOf(p Protocol, code int32, flags ResponseFlags) Outcome {
	if flags&FlagRateLimited != 0 {
		return OutcomeThrottled
	}
	switch p {
	case ProtocolHTTP:
		switch {
		case code == 429:
			return OutcomeThrottled
		case code >= 500 || code == 0:
			return OutcomeError
		}
	case ProtocolGRPC:
		switch code {
		case 8:
			return OutcomeThrottled
		case 2, 4, 12, 13, 14, 15:
			return OutcomeError
		}
	default:
	}
	return OutcomeOK
}
