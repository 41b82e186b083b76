package topology

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// flood watches who makes names, to tell an operator of it while it goes on. Nothing is decided by it, and it is no part of what Save
// keeps.
type flood struct {
	makers map[string]*naming // by maker: see makerOf
}

// naming is what one maker has named without a longer pause.
type naming struct {
	pattern string // of the latest name
	refused uint64
	spell
	before spell // the one before a longer pause; zero where there was none lately
}

// A spell is when a maker named without a longer pause, and how much.
type spell struct {
	names       uint64 // that were not in the table, those refused at the door once for each time that they knocked
	since, last int64
}

// has says that the spell makes a flood, and that something made at a moment is part of it.
func (s *spell) has(at int64, floodAt uint64) bool {
	return s.names >= floodAt && at >= s.since && at <= s.last
}

const (
	maxNaming   = 256
	namingPause = int64(30 * time.Second)
	// recalled is for how long a spell is known after it: what is named is told of when it has settled, at the latest, and is no news even then.
	recalled  = settlesUnknown + int64(time.Minute)
	noPattern = patternPrefix + "no others"
)

// floodAt is how many names are worth telling.
func (t *Topology) floodAt() uint64 { return uint64(max(100, t.cfg.MaxNodes/20)) } //nolint:gosec // positive

// name notes that a maker has named something that is not in the table.
func (f *flood) name(maker string, key telemetry.Node, refused bool, now int64) {
	maker = grouped(maker)
	n := f.makers[maker]
	if n != nil && now-n.last >= namingPause {
		n.before, n.spell, n.refused = n.spell, spell{since: now}, 0
	}
	if n == nil {
		if f.makers == nil {
			f.makers = map[string]*naming{}
		}
		if len(f.makers) >= maxNaming {
			f.dropLeast()
		}
		n = &naming{spell: spell{since: now}}
		f.makers[strings.Clone(maker)] = n
	}
	if n.names++; n.names&(n.names-1) == 0 {
		n.pattern = pattern(key.Name)
	}
	if refused {
		n.refused++
	}
	n.last = now
}

func (f *flood) dropLeast() {
	var least string
	for m, n := range f.makers {
		if l := f.makers[least]; l == nil || n.names < l.names || n.names == l.names && m < least {
			least = m
		}
	}
	delete(f.makers, least)
}

// grouped is the maker that a name is noted by: each pattern without a number would be a maker of one name.
func grouped(maker string) string {
	if strings.HasPrefix(maker, patternPrefix) && !strings.Contains(maker, placeholder) {
		return noPattern
	}
	return maker
}

// floods says that a node was made in a flood of names that goes on, or has been over for no longer than it takes to tell of the node.
func (t *Topology) floods(n *node) bool {
	f := t.flood.makers[grouped(n.maker)]
	return f != nil && (f.has(n.since, t.floodAt()) || f.before.has(n.since, t.floodAt()))
}

// forget drops those who have paused for so long that all they named is told of, or left out.
func (f *flood) forget(now int64) {
	for m, n := range f.makers {
		if now-n.last >= recalled {
			delete(f.makers, m)
		}
	}
}

// Findings is what an operator should know: who makes too many names, and why the graph may be wrong.
func (t *Topology) Findings(time.Time) []telemetry.Finding {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := append(t.whoFloods(), t.leftOut()...)
	return append(out, t.doubts.told...)
}

// leftOut tells that there was more news in this hour than events tell of.
func (t *Topology) leftOut() []telemetry.Finding {
	left := t.events.annals.LeftOut()
	if left.Count == 0 {
		return nil
	}
	f := telemetry.Finding{
		Kind: "news_left_out", Subject: strings.TrimPrefix(left.Of, patternPrefix), Count: left.Count, Since: time.Unix(0, left.Since), Severity: telemetry.SeverityInfo,
		Says:   fmt.Sprintf("no event tells of %d new dependencies or versions of this hour: there were too many of %s", left.Count, strings.TrimPrefix(left.Of, patternPrefix)),
		Remedy: "the graph has them all; GET /api/v1/graph/diff with the range before tells them apart",
	}
	if left.Of == "" {
		f.Subject = "events"
		f.Says = fmt.Sprintf("no event tells of %d new dependencies or versions of this hour: there were too many", left.Count)
	}
	return []telemetry.Finding{f}
}

// whoFloods tells who makes so many names that the graph's tables are in want of room, or soon will be; the most first. One ends half
// a minute after its last name.
func (t *Topology) whoFloods() (out []telemetry.Finding) {
	for maker, n := range t.flood.makers {
		if n.names < t.floodAt() || t.now-n.last >= namingPause {
			continue
		}
		f := telemetry.Finding{
			Kind: "names_flood", Subject: maker, Count: n.names, Since: time.Unix(0, n.since),
			Remedy: "see that it names things by what they are, and ids in attributes; topology.max_nodes is how many there may be",
		}
		who := "service " + maker
		switch {
		case maker == noPattern:
			f.Subject, who = "services", "services with names of no one pattern"
		case strings.HasPrefix(maker, patternPrefix):
			f.Subject = strings.TrimPrefix(maker, patternPrefix)
			who = "whoever sends as services named like " + f.Subject
		}
		f.Says = fmt.Sprintf("%s made %d names that the graph did not know, such as %s; no event tells of them", who, n.names, n.pattern)
		if n.refused > 0 {
			f.Says += fmt.Sprintf("; %d times one was counted at overflow", n.refused)
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b telemetry.Finding) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Subject, b.Subject))
	})
	return out
}
