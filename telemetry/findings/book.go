package findings

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: what a look sees may be chance, or be gone for a moment; and whoever is told of a fault wants it to stay until it has ended, and not to come and go.
//
// The form: a finding is told when it was so for three looks within ten seconds, with none between that saw it was not so. It ends when it was not so for five looks in a row. A look that sees too little
// changes nothing, for five minutes; then it ends as well. What it says is renewed every five seconds, so that figures do not run.
//
// A book holds 200 findings at most, and 800 that are not told yet; what exceeds them is left out, and counted.
const (
	looksToTell = 3
	looksToEnd  = 5
	forgetHits  = 10 * time.Second
	endUnseen   = 5 * time.Minute
	renewEvery  = 5 * time.Second
	maxEntries  = 1_000
	maxTold     = 200
)

type entryKey struct{ kind, subject string }

type entry struct {
	hits, misses int
	first, last  int64 // when it was first seen, and last
	renewed      int64
	told         bool
	finding      telemetry.Finding
}

// Book keeps what is found, from look to look. The zero Book is empty.
type Book struct {
	entries map[entryKey]*entry
	told    int
	left    uint64
	changed bool
}

// Note takes in what a look at a subject made of one kind.
func (b *Book) Note(now int64, o *Opined) {
	key := entryKey{string(o.Kind), o.Finding.Subject}
	e := b.entries[key]
	if e == nil {
		if o.Opinion != Wrong {
			return
		}
		if len(b.entries) >= maxEntries {
			b.left++
			return
		}
		if b.entries == nil {
			b.entries = map[entryKey]*entry{}
		}
		e = &entry{first: now}
		b.entries[key] = e
	}
	switch o.Opinion {
	case Wrong:
		if !e.told && e.hits > 0 && time.Duration(now-e.last) > forgetHits {
			e.hits, e.first = 0, now
		}
		e.hits++
		e.misses, e.last = 0, now
		b.tell(now, e, &o.Finding)
	case Well:
		if e.misses++; !e.told || e.misses >= looksToEnd {
			b.drop(key)
		}
	default:
		b.unseen(now, key, e)
	}
}

func (b *Book) tell(now int64, e *entry, f *telemetry.Finding) {
	if !e.told {
		if e.hits < looksToTell {
			return
		}
		if b.told >= maxTold {
			b.left++
			return
		}
		e.told = true
		b.told++
	} else if time.Duration(now-e.renewed) < renewEvery {
		return
	}
	e.renewed, e.finding = now, *f
	e.finding.Since = time.Unix(0, e.first)
	b.changed = true
}

func (b *Book) unseen(now int64, key entryKey, e *entry) {
	if after := time.Duration(now - e.last); e.told && after >= endUnseen || !e.told && after > forgetHits {
		b.drop(key)
	}
}

func (b *Book) drop(key entryKey) {
	if b.entries[key].told {
		b.told--
		b.changed = true
	}
	delete(b.entries, key)
}

// Sweep ends what nobody looks at any more.
func (b *Book) Sweep(now int64) {
	for key, e := range b.entries {
		b.unseen(now, key, e)
	}
}

// Told says that something of a kind is told of a subject.
func (b *Book) Told(k Kind, subject string) bool {
	e := b.entries[entryKey{string(k), subject}]
	return e != nil && e.told
}

// Subjects are those of whom something of a kind is told or may soon be, in order.
func (b *Book) Subjects(k Kind) (all []string) {
	for key := range b.entries {
		if key.kind == string(k) {
			all = append(all, key.subject)
		}
	}
	slices.Sort(all)
	return all
}

// Left is how often a finding was left out for want of room.
func (b *Book) Left() uint64 { return b.left }

// Changed says that there are others than at the last call, or that one says something else.
func (b *Book) Changed() bool {
	was := b.changed
	b.changed = false
	return was
}

// List is all that is told: the gravest first, of these the oldest.
func (b *Book) List() []telemetry.Finding {
	out := make([]telemetry.Finding, 0, b.told)
	for _, e := range b.entries {
		if e.told {
			out = append(out, e.finding)
		}
	}
	slices.SortFunc(out, func(x, y telemetry.Finding) int {
		return cmp.Or(cmp.Compare(x.Severity, y.Severity), x.Since.Compare(y.Since), cmp.Compare(rank(x.Kind), rank(y.Kind)), strings.Compare(x.Subject, y.Subject))
	})
	return out
}

func rank(kind string) int { return slices.Index(Kinds(), Kind(kind)) }
