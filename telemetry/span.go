package telemetry

// A Span is one operation in a trace (opentelemetry.proto.trace.v1.Span).
//
// The fields under "Derived" hold nothing that the rest does not say; they
// are filled by [Batch.FinishSpan] from the attributes by OpenTelemetry's semantic
// conventions, old names and new, so that no sink walks attributes.
type Span struct {
	TraceID  TraceID
	SpanID   SpanID
	ParentID SpanID // zero: a root
	Start    int64  // Unix nanoseconds
	Duration int64  // nanoseconds, never negative

	Name          StrID
	StatusMessage StrID
	TraceState    StrID
	Resource      uint32 // index into Batch.Resources
	ScopeName     StrID
	ScopeVersion  StrID
	Attrs         Range
	Events        Range
	Links         Range
	Flags         uint32 // the low 8 bits are W3C trace flags; 0x100 and 0x200 tell whether the parent is remote
	Kind          SpanKind
	Status        Status

	// Derived, and kept in the record: a replay knows what the first run knew.

	Protocol      Protocol
	PeerKind      NodeKind // what attributes say of the other end; NodeUnknown where they say nothing
	Outcome       Outcome  // ok, error or throttled
	Weight        Weight   // for how many requests it stands, by what its sampler says
	Code          int32    // HTTP status, or gRPC status where Protocol is gRPC; -1 unknown
	Peer          StrID    // the other end's name: peer.service, host, database or queue
	PeerNamespace StrID
	PeerSys       StrID         // its product: postgresql, kafka
	Cluster       StrID         // Envoy's upstream_cluster tag
	Response      ResponseFlags // Envoy's response_flags tag
}

// SpanKind is trace.proto's SpanKind; the numbers are the wire's.
type SpanKind uint8

// The span kinds.
const (
	KindUnspecified SpanKind = iota
	KindInternal
	KindServer
	KindClient
	KindProducer
	KindConsumer
)

var kindNames = [...]string{"internal", "internal", "server", "client", "producer", "consumer"} //nolint:gochecknoglobals // immutable

// String is the kind in lower case; an unspecified kind is internal, as
// trace.proto has it.
func (k SpanKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "internal"
}

// Status is trace.proto's Status.StatusCode; the numbers are the wire's.
type Status uint8

// The status codes.
const (
	StatusUnset Status = iota
	StatusOK
	StatusError
)

// String is the status in lower case.
func (s Status) String() string {
	switch s {
	case StatusOK:
		return "ok"
	case StatusError:
		return "error"
	default:
		return "unset"
	}
}

// An Event is something that happened at a moment of a span.
type Event struct {
	Time  int64 // Unix nanoseconds
	Name  StrID
	Attrs Range
}

// A Link is a span's reference to a span it is not the child of.
type Link struct {
	TraceID TraceID
	SpanID  SpanID
	Attrs   Range
}

// A Resource is what spans and requests of one sender have in common.
type Resource struct {
	Identity Identity
	Attrs    Range
}

// Identity says which workload something comes from, or went to. An empty
// part is not known. Collector enrichment fills it; it is part of the record,
// so that a replay knows no more and no less than the first run did.
type Identity struct {
	Cluster   StrID // Kubernetes cluster or mesh
	Namespace StrID
	Workload  StrID // deployment, stateful set, ...
	Service   StrID // the name that the graph shows
	App       StrID
	Version   StrID
	Instance  StrID // pod or host
	Principal StrID // SPIFFE id without scheme: cluster.local/ns/shop/sa/cart
}

// An Attr is one attribute. What Value holds depends on Type.
type Attr struct {
	Key   StrID
	Type  AttrType
	Value uint64
}

// AttrType says how an [Attr]'s Value is to be read.
type AttrType uint8

// The attribute types. Arrays and maps are kept as the text of their JSON.
const (
	AttrString AttrType = iota // a StrID
	AttrInt                    // an int64
	AttrFloat                  // math.Float64bits
	AttrBool                   // 0 or 1
	AttrBytes                  // a StrID of raw bytes
	AttrJSON                   // a StrID of JSON text
)

// String is the StrID of a string, bytes or JSON attribute.
func (a Attr) String() StrID { return StrID(a.Value) }

// AttrsOf is the run of attributes that r names.
func (b *Batch) AttrsOf(r Range) []Attr { return b.Attrs[r.Start : r.Start+r.Len] }

// HasKey says whether a run of attributes has one of that key.
func (b *Batch) HasKey(r Range, key string) bool {
	for _, a := range b.AttrsOf(r) {
		if b.Str(a.Key) == key {
			return true
		}
	}
	return false
}

// EventsOf is a span's events, valid as long as the batch is.
func (b *Batch) EventsOf(s *Span) []Event {
	return b.Events[s.Events.Start : s.Events.Start+s.Events.Len]
}

// LinksOf is a span's links, valid as long as the batch is.
func (b *Batch) LinksOf(s *Span) []Link { return b.Links[s.Links.Start : s.Links.Start+s.Links.Len] }
