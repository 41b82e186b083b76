package filter

import (
	"strconv"
	"strings"
)

// A Field names what a condition asks about: a [Fact], or the attribute Key in any of Scopes.
type Field struct {
	Fact   Fact   // 0: an attribute
	Scopes Scopes // of an attribute
	Key    string // of an attribute
}

// Attribute is the attribute of that key in any of the scopes.
func Attribute(scopes Scopes, key string) Field { return Field{Scopes: scopes, Key: key} }

// Scopes says where an attribute may stand, as bits.
type Scopes uint8

// The scopes.
const (
	InSpan     Scopes = 1 << iota // the span's own attributes
	InResource                    // those of the resource that sent it
	InEvent                       // those of any of its events
	InLink                        // those of any of its links

	numScopes        = iota
	InSpanOrResource = InSpan | InResource
	allScopes        = 1<<numScopes - 1
)

var scopeNames = [numScopes]string{"span", "resource", "event", "link"} //nolint:gochecknoglobals // immutable

// String is the scopes' names joined by a bar; nothing for the span's and its resource's together.
func (s Scopes) String() string {
	if s == InSpanOrResource {
		return ""
	}
	var names []string
	for i, n := range scopeNames {
		if s&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, "|")
}

// A Fact is a field that spans have by what they are, in contrast to attributes, which senders name.
type Fact uint8

// The facts. Text that is empty has no value.
const (
	_             Fact = iota
	Name               // text
	Kind               // internal, server, client, producer, consumer; one that is not specified is internal
	Status             // ok, error, unset
	StatusMessage      // text
	TraceState         // text, W3C's
	Duration           // a duration
	Start              // a time
	TraceID            // hex
	SpanID             // hex
	ParentID           // hex; a root has none
	Protocol           // http, grpc, tcp, database, messaging
	Outcome            // ok, error, throttled
	Code               // a number: the HTTP status, or the gRPC status where the protocol is grpc
	Peer               // text: the other end
	PeerNamespace      // text
	PeerSystem         // text: the other end's product
	PeerKind           // service, database, queue, external, client
	Upstream           // text: Envoy's cluster

	Cluster   // text, of the resource's identity, as all up to Principal
	Namespace // text
	Workload  // text
	Service   // text
	App       // text
	Version   // text
	Instance  // text
	Principal // text

	ScopeName    // text: the instrumentation scope's
	ScopeVersion // text

	EventName // text, of each event
	EventTime // a time, of each event

	LinkTraceID // hex, of each link
	LinkSpanID  // hex, of each link

	TraceStart    // a time: of the trace's earliest span
	TraceDuration // a duration: to the end of its latest
	TraceSpans    // a number: how many it has
	TraceErrors   // a number: how many of them failed
	RootService   // text: of the root, or of the earliest span where the root is not stored
	RootName      // text: the root's name
	TraceService  // text, of each of the trace's services

	numFacts
)

// class says how a field's values compare, and so which literals go with it.
type class uint8

const (
	classText class = iota
	classWord       // one of a list
	classNumber
	classDuration
	classTime
	classID // hex digits
	classAttribute
)

type factDef struct {
	name   string
	class  class
	words  []string // of classWord
	digits int      // of classID
}

var facts = [numFacts]factDef{ //nolint:gochecknoglobals // immutable
	Name:          {name: "span:name"},
	Kind:          {name: "span:kind", class: classWord, words: []string{"internal", "server", "client", "producer", "consumer"}},
	Status:        {name: "span:status", class: classWord, words: []string{"ok", "error", "unset"}},
	StatusMessage: {name: "span:status_message"},
	TraceState:    {name: "span:trace_state"},
	Duration:      {name: "span:duration", class: classDuration},
	Start:         {name: "span:start", class: classTime},
	TraceID:       {name: "trace:id", class: classID, digits: 32},
	SpanID:        {name: "span:id", class: classID, digits: 16},
	ParentID:      {name: "span:parent_id", class: classID, digits: 16},
	Protocol:      {name: "span:protocol", class: classWord, words: []string{"http", "grpc", "tcp", "database", "messaging"}},
	Outcome:       {name: "span:outcome", class: classWord, words: []string{"ok", "error", "throttled"}},
	Code:          {name: "span:code", class: classNumber},
	Peer:          {name: "span:peer"},
	PeerNamespace: {name: "span:peer_namespace"},
	PeerSystem:    {name: "span:peer_system"},
	PeerKind:      {name: "span:peer_kind", class: classWord, words: []string{"service", "database", "queue", "external", "client"}},
	Upstream:      {name: "span:upstream_cluster"},
	Cluster:       {name: "resource:cluster"},
	Namespace:     {name: "resource:namespace"},
	Workload:      {name: "resource:workload"},
	Service:       {name: "resource:service"},
	App:           {name: "resource:app"},
	Version:       {name: "resource:version"},
	Instance:      {name: "resource:instance"},
	Principal:     {name: "resource:principal"},
	ScopeName:     {name: "scope:name"},
	ScopeVersion:  {name: "scope:version"},
	EventName:     {name: "event:name"},
	EventTime:     {name: "event:time", class: classTime},
	LinkTraceID:   {name: "link:trace_id", class: classID, digits: 32},
	LinkSpanID:    {name: "link:span_id", class: classID, digits: 16},
	TraceStart:    {name: "trace:start", class: classTime},
	TraceDuration: {name: "trace:duration", class: classDuration},
	TraceSpans:    {name: "trace:spans", class: classNumber},
	TraceErrors:   {name: "trace:errors", class: classNumber},
	RootService:   {name: "trace:root_service"},
	RootName:      {name: "trace:root_name"},
	TraceService:  {name: "trace:service"},
}

// Facts is all facts, in order.
func Facts() []Fact {
	out := make([]Fact, 0, numFacts-1)
	for f := Fact(1); f < numFacts; f++ {
		out = append(out, f)
	}
	return out
}

// Field is the field that the fact is.
func (f Fact) Field() Field { return Field{Fact: f} }

// OfTrace says that the fact is known of a trace as a whole alone, so that one span cannot tell it. The
// trace's id is not one: each span has it.
func (f Fact) OfTrace() bool { return f >= TraceStart && f < numFacts }

// Words is what the fact may be, where it is one of few words; nil otherwise.
func (f Fact) Words() []string { return facts[f.known()].words }

// known is the fact, or 0, which has an empty definition, for one that is none.
func (f Fact) known() Fact {
	if f < numFacts {
		return f
	}
	return 0
}

// String is the fact's name, as in span:duration.
func (f Fact) String() string { return facts[f.known()].name }

func (f Field) class() class {
	if f.Fact == 0 {
		return classAttribute
	}
	return facts[f.Fact.known()].class
}

// String is the field's name: a fact's, such as span:duration, or an attribute's, such as resource.zone; .zone is the attribute of the
// span or of its resource. A key that could be read amiss is quoted.
func (f Field) String() string {
	if f.Fact != 0 {
		return f.Fact.String()
	}
	key := f.Key
	if !plainKey(key) {
		key = strconv.Quote(key)
	}
	return f.Scopes.String() + "." + key
}

func plainKey(k string) bool {
	for i := range len(k) {
		c := k[i]
		if c != '.' && c != '_' && c != '-' && c != '/' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return k != ""
}
