package findings

import (
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Kind is what is wrong, as machines read it.
type Kind string

// The kinds, in the order in which they are told where several concern one service.
const (
	HeadersDropped  Kind = "headers_dropped"
	NoTracer        Kind = "no_tracer"
	SamplingDiffers Kind = "sampling_differs"
	ClockOff        Kind = "clock_off"
	ReportedTwice   Kind = "reported_twice"
	AddressReused   Kind = "address_reused"
	ReplicaSilent   Kind = "replica_silent"
	ServiceRenamed  Kind = "service_renamed"
	// CauseShared is that many services are ill at once of what they share: package blame finds it.
	CauseShared Kind = "cause_shared"
)

// Kinds are all of them.
func Kinds() []Kind {
	return []Kind{HeadersDropped, NoTracer, SamplingDiffers, ClockOff, ReportedTwice, AddressReused, ReplicaSilent, ServiceRenamed, CauseShared}
}

// Opinion is what a look makes of a service.
type Opinion uint8

// The opinions.
const (
	Unsure Opinion = iota // too little was seen to tell
	Well                  // it is not so
	Wrong                 // it is so
)

// Seen is how many requests each witness told of.
type Seen [telemetry.Witnesses]uint64

// Traffic is what was told of a service in some time.
type Traffic struct {
	Seconds float64
	In      Seen   // requests that came to it: as servers tell it itself does, as clients its callers
	Out     Seen   // requests that it made of others, but for databases and queues: as clients tell it itself does
	Roots   uint64 // of its own client's spans those that begin a trace
	Begun   uint64 // of its own server's spans those that begin a trace
}

// spans and logs are what the service itself tells of, of the sides of which its logs tell.
func (t *Traffic) spans() (n uint64) {
	if t.In[telemetry.ServerLog] > 0 {
		n += t.In[telemetry.ServerSpan]
	}
	if t.Out[telemetry.ClientLog] > 0 {
		n += t.Out[telemetry.ClientSpan]
	}
	return n
}

func (t *Traffic) logs() uint64 { return t.In[telemetry.ServerLog] + t.Out[telemetry.ClientLog] }

// Pace is how regularly a service sends spans, or logs.
type Pace struct {
	Last int64 // Unix nanoseconds; 0: never
	// Usual is the longest pause between two batches of late, without the last ten seconds, so that a fault does not excuse itself; 0: not known yet.
	Usual time.Duration
}

// quick says that a service sends so often that what its witnesses count within a few seconds can be compared.
func (p *Pace) quick() bool { return p.Usual > 0 && p.Usual <= 1500*time.Millisecond }

// pause is for how long nothing came.
func (p *Pace) pause(now int64) time.Duration { return time.Duration(now - p.Last) }

// Fresh says that what was sent last is no older than is usual.
func (p *Pace) Fresh(now int64) bool {
	return p.Last > 0 && p.pause(now) <= max(2*time.Second, 2*p.Usual)
}

// Service is what is known of one service's telemetry at one moment.
type Service struct {
	ID, Name string // as the graph has them
	Now      int64  // Unix nanoseconds
	Since    int64  // when it was first heard of
	Spans    Pace
	Logs     Pace
	Recent   Traffic // of the last few seconds; its halves may yet meet their others
	Minute   Traffic // of the last minute
	Settled  Traffic // of the last minute without the last ten seconds: what should have met has
	Rooted   Rooted
	Callers  []Peer
	Callees  []Peer
	Replicas []Replica
	// Answered is how many requests that came to it in Settled went well, as its callers tell; 0 where it has sent spans just now.
	Answered uint64
	// Traced says that it was not told of it in the last minute that it has no tracer. Without one requests are told of at the wrong places.
	Traced bool
	// Stated is which share of its requests its spans say that there are spans of, where their sampler says so; 0 where it does not.
	Stated float64
	// SamplesLess says that it is told of it that it sends fewer spans than others.
	SamplesLess bool
}

// Rooted is when those calls were made that begin a trace, of the latest 64 or so.
type Rooted struct {
	Calls  uint64 // looked at
	Within uint64 // that lie within a request which the service was answering
	Chance uint64 // that would by chance: the share of its time in which it is answering something
}

// Peer is a service at the other end of an edge.
type Peer struct {
	ID, Name string
	Edge     string             // GraphEdge.ID
	Protocol telemetry.Protocol // of the edge
	Said     uint64             // requests in Settled of which the caller's spans tell
	Met      uint64             // and to which a callee's span belongs
	Logged   uint64             // requests in Minute of which logs tell
	Clock    Clock
	InStep   int // of the peer's edges, how many join it with one whose clock goes like its own
	Compared int // and how many were compared
}

// Clock is how the clocks at the two ends of an edge differ, by requests that both ends told of in spans.
type Clock struct {
	Pairs   int           // looked at of late, 16 at most
	Outside int           // of these, where the callee's span does not lie within its caller's
	Latest  int           // and of the latest four
	Ahead   time.Duration // by how much the service is ahead of the peer: the median of those outside
}

// Replica is one of those that report as the service: a pod, a host.
type Replica struct {
	Name    string
	Spans   bool // it sends spans; or else logs
	First   int64
	Last    int64
	Reports uint64 // batches of its own, of some late time before Last
	All     uint64 // and those of all replicas in the same time
	Since   uint64 // batches of all others after Last
	Second  bool   // it logged what another logged as well
}

// Mesh is what is known of all services.
type Mesh struct {
	// Kept is the median of the share of requests that services have spans of; 0 where nobody logs what can be compared.
	Kept float64
	// Traced is how many services have sent spans in the last minute.
	Traced int
}

// Opined is the opinion of one look on one kind.
type Opined struct {
	Kind    Kind
	Opinion Opinion
	Finding telemetry.Finding // where Wrong: what it says, its evidence, where, and the remedy
}

// Look judges one service in each way that needs no more than that service.
func Look(s *Service, m *Mesh) []Opined {
	all := make([]Opined, 0, 6)
	for _, c := range [...]struct {
		kind Kind
		of   func(*Service, *Mesh) (Opinion, telemetry.Finding)
	}{
		{HeadersDropped, headersDropped},
		{NoTracer, noTracer},
		{SamplingDiffers, samplingDiffers},
		{ClockOff, clockOff},
		{ReportedTwice, reportedTwice},
		{ReplicaSilent, replicaSilent},
	} {
		o, f := c.of(s, m)
		f.Kind, f.Subject = string(c.kind), s.ID
		if o == Wrong && len(f.Nodes) == 0 {
			f.Nodes = []string{s.ID}
		}
		slices.Sort(f.Edges)
		all = append(all, Opined{c.kind, o, f})
	}
	return all
}
