package quota

import (
	"context"
	"errors"
	"time"

	"github.com/binnacle-mesh/binnacle/quota/rule"
	"github.com/binnacle-mesh/binnacle/quota/window"
)

// Request asks whether something may happen. All bytes are borrowed for the call.
type Request struct {
	Domain      []byte
	Descriptors []Descriptor
	Hits        uint32 // for descriptors that do not say; 0 is 1
}

// Descriptor names one thing that may be limited.
type Descriptor struct {
	Entries  []rule.Entry
	Override rule.Limit // used instead of the rules' where OwnLimit is set
	OwnLimit bool
	Hits     uint64 // where OwnHits is set; 0 only looks
	OwnHits  bool
	Negative bool // give the hits back; never refused
}

// Decision is the answer to a Request. It is meant to be used again: Decide reuses its memory.
type Decision struct {
	Over     bool
	Statuses []Answer // one for each descriptor, in their order
	// Closest is the status whose limit is nearest to being reached (a refusing one before all others), -1 where no limit applies.
	Closest int
	Now     time.Time
	Config  *Config // in force when it was decided; not to be changed

	unix    int64        // the time by which windows begin and end, in seconds; see clock
	matches []rule.Match // by descriptor
	// What is counted, and what became of it. The three are alike in length: one element for each descriptor with a limit.
	counts  []count
	hits    []window.Hit
	results []window.Result
	key     []byte // memory for names
	name    []byte
}

// Answer is the answer for one descriptor.
type Answer struct {
	Over      bool
	Failed    bool        // its counter could not be reached: Over is what the rule says for that, and nothing is known of use
	Unlimited bool        // by the rule
	Limit     *rule.Limit // the limit that applies; nil where none does, or it is unlimited. Valid as long as the Request
	Rule      *rule.Rule  // nil where no rule applies, or the request brought its own limit
	Remaining uint32
	Reset     int64 // seconds until the window ends
}

// Errors that a request itself is the reason of.
var (
	ErrNoDomain      = errors.New("quota: the request has no domain; set it in the proxy's rate limit filter, equal to domain: in a rule file")
	ErrNoDescriptors = errors.New("quota: the request has no descriptors; a proxy that has nothing to ask about must not ask")
	ErrBadUnit       = errors.New("quota: a descriptor brings a limit of an unknown unit; use SECOND, MINUTE, HOUR, DAY, WEEK, MONTH or YEAR")
)

// ErrCounter is Decide's where the counters cannot be reached and neither the rules nor the configuration say what then. It is no
// fault of the request's.
var ErrCounter = errors.New("quota: the counters cannot be reached; see /api/v1/quotas, and on_counter_failure for what to answer then")

// Decide answers req into d, counting its hits. It does not allocate once d has grown to the size of the requests, and it is safe
// for concurrent use (with a Decision each).
//
// It takes three steps: match finds what to count, the counter counts all of it in one batch, settle makes statuses and statistics
// of the results. The order of things is envoyproxy/ratelimit's: find a limit for each descriptor, silence those that another one
// replaces, count all, and refuse if any refuses; of quota_mode limits, only if all refuse. A descriptor without a limit passes.
func (e *Engine) Decide(ctx context.Context, req *Request, d *Decision, now time.Time) error {
	if len(req.Domain) == 0 {
		return ErrNoDomain
	}
	if len(req.Descriptors) == 0 {
		return ErrNoDescriptors
	}
	g := e.current.Load()
	d.Now, d.unix, d.Config = now, e.clock.unix(now), &g.cfg
	if err := e.match(g, req, d); err != nil {
		return err
	}
	if len(d.hits) > 0 {
		e.count(ctx, g, d)
	}
	return e.settle(g, req, d)
}
