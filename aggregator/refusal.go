package aggregator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Who makes more names of operations than its share, for the operator to know. None of it is part of the state.
const (
	maxFindings = 5
	// foundFor is how long a service that made too many names is told of.
	foundFor = time.Minute
)

// refusal is what a service was refused.
type refusal struct {
	count       uint64 // how often a name had no room, a batch counted once
	example     string // one such name, ids folded
	since, last time.Time
}

// refuse notes that a service's name found no room.
func (a *Aggregator) refuse(svc *service, name []byte) {
	r := a.refused[svc.key]
	if r == nil {
		if a.refused == nil {
			a.refused = map[serviceKey]*refusal{}
		}
		r = &refusal{example: strings.Clone(string(name))}
		a.refused[svc.key] = r
	}
	r.count++
}

// Findings are the services that make more names of operations than their share, those that make most
// first, as of the newest flush. It may be called by any goroutine.
func (a *Aggregator) Findings(time.Time) []telemetry.Finding {
	if f := a.findings.Load(); f != nil {
		return *f
	}
	return nil
}

// find makes readable what was refused up to a flush.
func (a *Aggregator) find(now time.Time) {
	for key, r := range a.refused {
		f := a.found[key]
		if f == nil {
			if a.found == nil {
				a.found = map[serviceKey]*refusal{}
			}
			f = &refusal{since: now}
			a.found[key] = f
		}
		f.count, f.example, f.last = f.count+r.count, r.example, now
	}
	a.refused = nil
	maps.DeleteFunc(a.found, func(_ serviceKey, f *refusal) bool { return now.Sub(f.last) > foundFor })
	if len(a.found) == 0 {
		a.findings.Store(nil)
		return
	}
	order := slices.SortedFunc(maps.Keys(a.found), func(x, y serviceKey) int {
		return cmp.Or(cmp.Compare(a.found[y].count, a.found[x].count), cmp.Compare(x.name, y.name), cmp.Compare(x.namespace, y.namespace))
	})
	out := make([]telemetry.Finding, 0, maxFindings)
	for _, key := range order[:min(len(order), maxFindings)] {
		f := a.found[key]
		name := key.name
		if key.namespace != "" {
			name = key.namespace + "/" + name
		}
		out = append(out, telemetry.Finding{
			Kind: "operation_names", Subject: name, Count: f.count, Since: f.since,
			Says: fmt.Sprintf("%s names more operations than the %d that it may have series for: %d times one was counted as %s, such as %q",
				name, a.cfg.MaxOperations, f.count, other, f.example),
			Remedy: "give spans of this service names without ids, or raise aggregator.max_operations",
		})
	}
	a.findings.Store(&out)
}
