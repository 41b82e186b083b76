package quota

import (
	"fmt"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A crowd is that keys had to give way to others.
type crowd struct {
	first, last time.Time // last is when it was seen last
	count       uint64    // keys that gave way, and decisions by counters that are shared
}

// crowding looks whether keys gave way since it last looked. It is called once a second.
func (e *Engine) crowding(now time.Time) {
	n := e.table.Evicted() + e.sharedHits.Load() + e.fullHits.Load()
	old := e.crowded.Load()
	switch {
	case n == 0 || old != nil && n == old.count:
	case old == nil || now.Sub(old.last) >= time.Minute:
		e.crowded.Store(&crowd{now, now, n})
	default:
		e.crowded.Store(&crowd{old.first, now, n})
	}
}

// Findings is what an operator should know of the counters: that they cannot be saved, or could not be read at the start, or that keys
// without end crowd one another out.
func (e *Engine) Findings(now time.Time) (out []telemetry.Finding) {
	s := e.saver
	if at := s.failing.Load(); at != nil {
		out = append(out, telemetry.Finding{
			Kind: "quota_unsaved", Subject: "quota counters", Since: at.since, Loss: true, Count: s.failures.Load(),
			Says:   fmt.Sprintf("quota counters cannot be saved: %v. A crash would grant again what was used since", at.err),
			Remedy: "see that the disk has room and may be written to",
		})
	}
	if e.damage != nil {
		out = append(out, telemetry.Finding{
			Kind: "quota_damaged", Subject: "quota counters", Since: e.begun, Loss: true,
			Says:   fmt.Sprintf("some of the saved quota counters could not be read at the start, and what was used there is granted again: %v", e.damage),
			Remedy: "look at the file that was set aside, and at the disk",
		})
	}
	if c := e.crowded.Load(); c != nil && now.Sub(c.last) < time.Minute {
		out = append(out, telemetry.Finding{
			Kind: "quota_keys_crowded", Subject: "quota keys", Since: c.first, Count: c.count,
			Says:   fmt.Sprintf("there are more quota keys in use than have counters (%d): the least used give way, and new ones may be refused early", e.current.Load().cfg.MaxKeys),
			Remedy: "see in /api/v1/quotas which rule has so many keys, or raise quota.max_keys",
		})
	}
	return out
}
