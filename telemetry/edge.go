package telemetry

// NodeKind says what stands at a node of the graph.
type NodeKind uint8

// The node kinds. All but NodeService are virtual: they send no telemetry, and
// are known only by what others say of them.
const (
	NodeUnknown  NodeKind = iota // a peer that is named, but of which nothing else is known yet
	NodeService                  // a service that reports, or that a mesh names as its own
	NodeDatabase                 // a database or cache
	NodeQueue                    // a broker's topic or queue
	NodeExternal                 // a host outside the mesh
	NodeClient                   // callers that send no telemetry
)

var nodeKindNames = [...]string{"unknown", "service", "database", "queue", "external", "client"} //nolint:gochecknoglobals // immutable

// String is the kind as the HTTP API writes it.
func (k NodeKind) String() string { return nodeKindNames[k] }

// Protocol is what is spoken on an edge.
type Protocol uint8

// The protocols that the graph tells apart.
const (
	ProtocolUnknown Protocol = iota
	ProtocolHTTP
	ProtocolGRPC
	ProtocolTCP
	ProtocolDatabase
	ProtocolMessaging
)

var protocolNames = [...]string{"unknown", "http", "grpc", "tcp", "database", "messaging"} //nolint:gochecknoglobals // immutable

// String is the protocol as the HTTP API writes it.
func (p Protocol) String() string { return protocolNames[p] }

// Side is the end of an edge from which something was seen.
type Side uint8

// The two sides.
const (
	SideClient Side = iota // the caller's
	SideServer             // the callee's
)

// String is "client" or "server".
func (s Side) String() string {
	if s == SideServer {
		return "server"
	}
	return "client"
}

// Evidence is the kind of telemetry by which something was seen.
type Evidence uint8

// The two kinds of evidence.
const (
	EvidenceSpan Evidence = iota
	EvidenceLog
)

// String is "span" or "log".
func (e Evidence) String() string {
	if e == EvidenceLog {
		return "log"
	}
	return "span"
}

// A Witness is one of the four that can report a request on an edge.
type Witness uint8

// The four witnesses.
const (
	ClientSpan Witness = iota
	ServerSpan
	ClientLog
	ServerLog
	Witnesses = 4
)

// WitnessOf names the witness that sees by evidence e at side s.
func WitnessOf(s Side, e Evidence) Witness { return Witness(s) + 2*Witness(e) }

var witnessNames = [Witnesses]string{"client_span", "server_span", "client_log", "server_log"} //nolint:gochecknoglobals // immutable

// String is the witness as the HTTP API writes it.
func (w Witness) String() string { return witnessNames[w] }

// Side is the end of the edge at which the witness stands.
func (w Witness) Side() Side { return Side(w & 1) }

// Evidence is the kind of telemetry that it sends.
func (w Witness) Evidence() Evidence { return Evidence(w >> 1 & 1) }

// Outcome is how a request ended, as the golden signals count it.
type Outcome uint8

// The outcomes. A throttled request is not an error: the system did what it
// was told, and the caller's limit, not the callee's health, is the reason.
const (
	OutcomeOK        Outcome = iota
	OutcomeError             // status ERROR, HTTP 5xx, a gRPC code of the server's making, or no response
	OutcomeThrottled         // HTTP 429, gRPC RESOURCE_EXHAUSTED, or Envoy's flag RL
)

var outcomeNames = [...]string{"ok", "error", "throttled"} //nolint:gochecknoglobals // immutable

// String is the outcome as labels write it.
func (o Outcome) String() string { return outcomeNames[o] }

// TLS says how a connection was secured.
type TLS uint8

// What can be known of a connection's security.
const (
	TLSUnknown TLS = iota
	TLSNone
	TLSOneWay
	TLSMutual
)

var tlsNames = [...]string{"", "none", "tls", "mtls"} //nolint:gochecknoglobals // immutable

// String is the value as labels write it; unknown is "".
func (t TLS) String() string { return tlsNames[t] }

// A Node names a node of the graph. It is a map key.
type Node struct {
	Kind      NodeKind
	Cluster   string
	Namespace string
	Name      string
}

// ID is the node's name in the HTTP API, stable over restarts.
func (n Node) ID() string {
	id := n.Name
	if n.Namespace != "" {
		id = n.Namespace + "/" + id
	}
	if n.Cluster != "" {
		id = n.Cluster + "/" + id
	}
	if n.Kind > NodeService {
		id = n.Kind.String() + ":" + id
	}
	return id
}

// An Endpoint is a node with the details of the workload seen there.
type Endpoint struct {
	Node      Node
	Workload  string
	App       string
	Version   string
	Principal string
	System    string // product, for databases and queues
}

// An Edge is a pair of endpoints and what they speak. Topology makes each
// distinct Edge once and never changes it, so the pointer is its identity: a
// sink may key a map by it.
type Edge struct {
	Source, Target Endpoint
	Protocol       Protocol
}

// An Observation is one request on one edge, as one witness saw it. Topology
// makes one for each half of a hop when it knows both ends, or has waited long
// enough to know that it never will: at most once a half.
type Observation struct {
	Edge     *Edge
	At       int64 // Unix nanoseconds: the request's start
	Duration int64 // nanoseconds
	TraceID  TraceID
	SpanID   SpanID
	Code     int32
	Response ResponseFlags
	Side     Side
	Evidence Evidence
	Outcome  Outcome
	TLS      TLS
	// Alone says, of a server's span, that the caller's span was not there to be counted.
	Alone bool
	// Taken says that what was observed here of a half is taken back: its other half came after the wait, and both count elsewhere.
	Taken bool
}

// Observed is what the graph has learned while it went from one position of
// the log to another, or, where the two are the same, while only time passed.
//
// From makes its readers idempotent (I2): one that has counted all that was
// observed up to some position leaves out whatever began before it. After a restart the
// graph may derive an entry's observations again, never in part.
type Observed struct {
	// From and To are the graph's applied position before and after.
	From, To Position
	// Requests is lent by the graph until it is next given an entry or the time:
	// read it, and keep nothing of it but the edges' pointers.
	Requests []Observation
}
