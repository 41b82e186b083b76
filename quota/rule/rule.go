// Package rule holds the rules of quotas: what they say, how a request finds the one that applies, and how they are read from
// the YAML files of envoyproxy/ratelimit.
//
// A set of rules is a tree for each domain. A node stands for a descriptor entry, a path of nodes for a descriptor, and a node
// with a limit for a rule. A [Set] is immutable, so that a reload is the exchange of one pointer.
//
// Requests are bytes here ([Entry]): they are matched as they lie in the receive buffer, and matching does not allocate.
package rule

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"
)

// Unit is a length of time in which requests are counted. Its numbers are those of
// envoy.service.ratelimit.v3.RateLimitResponse.RateLimit.Unit.
type Unit uint8

// The units, by their number in the protocol.
const (
	UnknownUnit Unit = iota
	Second
	Minute
	Hour
	Day
	Month
	Year
	Week
)

// units is indexed by Unit. A month is 30 days and a year 365, as in envoyproxy/ratelimit: windows of equal length, not the
// calendar's.
var units = [...]struct { //nolint:gochecknoglobals // immutable
	name    string
	seconds uint32
}{
	{"unknown", 0},
	{"second", 1},
	{"minute", 60},
	{"hour", 3600},
	{"day", 86400},
	{"month", 30 * 86400},
	{"year", 365 * 86400},
	{"week", 7 * 86400},
}

// ParseUnit reads a unit's name in any case.
func ParseUnit(s string) (Unit, bool) {
	for u, unit := range units {
		if u != 0 && strings.EqualFold(s, unit.name) {
			return Unit(u), true
		}
	}
	return UnknownUnit, false
}

// Valid says whether u is one of the units.
func (u Unit) Valid() bool { return u != UnknownUnit && int(u) < len(units) }

// Seconds returns the unit's length; 0 for an unknown one.
func (u Unit) Seconds() uint32 {
	if !u.Valid() {
		return 0
	}
	return units[u].seconds
}

// String returns the unit's name, in lower case.
func (u Unit) String() string {
	if !u.Valid() {
		return units[UnknownUnit].name
	}
	return units[u].name
}

// Limit is how much may pass in a window of time.
type Limit struct {
	Name            string // other rules may replace it by this name; told to the client; may be empty
	RequestsPerUnit uint32 // 0 is a ban
	Unit            Unit
	Multiplier      uint32 // of the unit; 0 and 1 alike. Rule files cannot set it, a request's own limit can
	Unlimited       bool   // always admitted, not counted
}

// Window returns the length of the window in seconds, at most what 32 bits hold (136 years).
func (l *Limit) Window() uint32 {
	w := uint64(l.Unit.Seconds()) * uint64(max(1, l.Multiplier))
	return uint32(min(w, math.MaxUint32))
}

// Rule is one limit of a rule file and its place in the tree.
type Rule struct {
	ID         string // domain/key_value/key…: stable over reloads, unique in a set
	Domain     string
	Descriptor string // for people: "client_id / path=/checkout"
	Path       []string
	Limit      Limit
	Shadow     bool     // refuses only in the statistics
	Quota      bool     // a request is refused only when all its quota rules are
	Replaces   []string // names of limits that are silent where this one applies
	OnFailure  Fallback // where the rule has a word of its own on it
	Metadata   *structpb.Struct
	Detailed   bool // statistics for each value of the request, as far as their bound allows (detailed_metric)
	ByValue    bool // likewise for values at levels that say value_to_metric
	Index      int  // in Set.Rules
}

// Set is an immutable set of rules.
type Set struct {
	Rules   []*Rule
	domains map[string]*Domain
}

// Domain is the tree of one domain's rules.
type Domain struct{ root node }

// Domains returns the domains for which there are rules, sorted.
func (s *Set) Domains() []string { return slices.Sorted(maps.Keys(s.domains)) }

// Domain returns the rules of a domain; nil where no rule file has it.
func (s *Set) Domain(name []byte) *Domain { return s.domains[string(name)] }

// node is a level of the tree: what may follow the entries matched so far.
type node struct {
	// children is keyed as envoyproxy/ratelimit does it, by "key" or "key_value": a file that relies on key a_b standing for
	// key a with value b works here as it does there.
	children  map[string]*node
	wildcards []wildcard // children with a * in their key, in file order
	rule      *Rule
	key       string // of the entry, and its value, as written
	value     string
	share     bool // all values that match this wildcard have one counter
	byValue   bool
}

func (n *node) name() string {
	if n.value == "" {
		return n.key
	}
	return n.key + "_" + n.value
}

// wildcard is a child's name cut at its stars.
type wildcard struct {
	parts []string
	node  *node
}

// match says whether s is parts with anything between them.
func (w *wildcard) match(s []byte) bool {
	first, last := w.parts[0], w.parts[len(w.parts)-1]
	if len(s) < len(first)+len(last) || string(s[:len(first)]) != first || string(s[len(s)-len(last):]) != last {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range w.parts[1 : len(w.parts)-1] {
		i := index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):] // the earliest place leaves most for the parts that follow
	}
	return true
}

func index(s []byte, part string) int {
	for i := 0; i+len(part) <= len(s); i++ {
		if string(s[i:i+len(part)]) == part {
			return i
		}
	}
	return -1
}

func describe(path []*node) string {
	var b strings.Builder
	for i, n := range path {
		if i > 0 {
			b.WriteString(" / ")
		}
		b.WriteString(n.key)
		if n.value != "" {
			fmt.Fprintf(&b, "=%s", n.value)
		}
	}
	return b.String()
}
