package findings

import (
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Over a restart.
//
// The problem: what was found must not vanish because the server stops for a moment, nor be found anew with another beginning. And whoever has just started knows little: senders come back one after
// the other, some within a second, some after ten, so that each seems to be missing something that the one before has.
//
// The rule: what was told is saved (List), and goes on being told when it is loaded (Recall), since when it was. For a minute after, a look that sees nothing wrong does not end it, and what rests on something not
// having come is not told anew (NoteEarly).

// SettlesIn is for how long after a start looks see less than there is.
const SettlesIn = time.Minute

// ByAbsence says that a finding of the kind rests on something that did not come, though something else did.
func (k Kind) ByAbsence() bool {
	switch k {
	case NoTracer, SamplingDiffers, ReportedTwice, ReplicaSilent, ServiceRenamed:
		return true
	default:
		return false
	}
}

// Recall takes in what List gave before a restart, into an empty book. What is of no known kind, or twice, is left out.
func (b *Book) Recall(told []telemetry.Finding) {
	b.entries = map[entryKey]*entry{}
	for _, f := range told {
		key := entryKey{f.Kind, f.Subject}
		if rank(f.Kind) < 0 || b.entries[key] != nil || b.told >= maxTold {
			continue
		}
		at := f.Since.UnixNano()
		b.entries[key] = &entry{hits: looksToTell, first: at, last: at, told: true, finding: f}
		b.told++
	}
	b.changed = true
}

// Resume says that nothing was looked at until now: what is told has been so all the while.
func (b *Book) Resume(now int64) {
	for _, e := range b.entries {
		if e.told {
			e.last = now
		}
	}
}

// NoteEarly is Note for a time, after a start, in which not all senders are back.
func (b *Book) NoteEarly(now int64, o *Opined) {
	told := b.Told(o.Kind, o.Finding.Subject)
	if o.Opinion == Well && told || o.Opinion == Wrong && !told && o.Kind.ByAbsence() {
		unsure := *o
		unsure.Opinion = Unsure
		o = &unsure
	}
	b.Note(now, o)
}
