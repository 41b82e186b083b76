package block

import "github.com/binnacle-mesh/binnacle/telemetry"

// setSpan sets the field of a column that a value of a span came from; text
// comes as a StrID.
func setSpan(s *telemetry.Span, col int, v uint64) {
	switch col {
	case colStart:
		s.Start = int64(v)
	case colDuration:
		s.Duration = int64(v)
	case colName:
		s.Name = telemetry.StrID(v)
	case colKind:
		s.Kind = telemetry.SpanKind(v)
	case colStatus:
		s.Status = telemetry.Status(v)
	case colStatusMessage:
		s.StatusMessage = telemetry.StrID(v)
	case colTraceState:
		s.TraceState = telemetry.StrID(v)
	case colFlags:
		s.Flags = uint32(v)
	case colScopeName:
		s.ScopeName = telemetry.StrID(v)
	case colScopeVersion:
		s.ScopeVersion = telemetry.StrID(v)
	case colProtocol:
		s.Protocol = telemetry.Protocol(v)
	case colOutcome:
		s.Outcome = telemetry.Outcome(v)
	case colCode:
		s.Code = int32(v)
	case colPeer:
		s.Peer = telemetry.StrID(v)
	case colPeerNamespace:
		s.PeerNamespace = telemetry.StrID(v)
	case colPeerSystem:
		s.PeerSys = telemetry.StrID(v)
	case colPeerKind:
		s.PeerKind = telemetry.NodeKind(v)
	case colUpstreamCluster:
		s.Cluster = telemetry.StrID(v)
	case colResponseFlags:
		s.Response = telemetry.ResponseFlags(v)
	}
}

// setRequest is setSpan for a request.
func setRequest(r *telemetry.Request, col int, v uint64) {
	id := telemetry.StrID(v)
	switch col {
	case colStart:
		r.Start = int64(v)
	case colDuration:
		r.Duration = int64(v)
	case colProtocol:
		r.Protocol = telemetry.Protocol(v)
	case colOutcome:
		r.Outcome = telemetry.Outcome(v)
	case colCode:
		r.Code = int32(v)
	case colPeerKind:
		r.PeerKind = telemetry.NodeKind(v)
	case colResponseFlags:
		r.Response = telemetry.ResponseFlags(v)
	case colUpstreamCluster:
		r.Cluster = id
	case colSide:
		r.Side = telemetry.Side(v)
	case colTLS:
		r.TLS = telemetry.TLS(v)
	case colMethod:
		r.Method = id
	case colPath:
		r.Path = id
	case colAuthority:
		r.Authority = id
	case colRequestID:
		r.RequestID.Text = id
	case colRoute:
		r.Route = id
	case colUpstream:
		r.Upstream.Host = id
	case colRemote:
		r.Remote.Host = id
	case colAttempts:
		r.Attempts = uint32(v)
	case colBytesIn:
		r.BytesIn = v
	case colBytesOut:
		r.BytesOut = v
	case colPeerCluster:
		r.Peer.Cluster = id
	case colRequestPeerNamespace:
		r.Peer.Namespace = id
	case colPeerWorkload:
		r.Peer.Workload = id
	case colPeerService:
		r.Peer.Service = id
	case colPeerApp:
		r.Peer.App = id
	case colPeerVersion:
		r.Peer.Version = id
	case colPeerInstance:
		r.Peer.Instance = id
	case colPeerPrincipal:
		r.Peer.Principal = id
	case colUpstreamPort:
		r.Upstream.Port = uint16(v)
	case colRemotePort:
		r.Remote.Port = uint16(v)
	}
}
