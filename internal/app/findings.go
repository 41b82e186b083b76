package app

import (
	"cmp"
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api/binnacle"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// findings is what the rooms noticed, worst and oldest first. A room that finds something is a line here.
func (a *App) findings(now time.Time) (out []binnacle.Finding) {
	for _, of := range []func(time.Time) []telemetry.Finding{
		a.logFindings,
	} {
		for _, f := range of(now) {
			out = append(out, binnacle.Finding{
				Kind: f.Kind, Subject: f.Subject, Says: f.Says, Remedy: f.Remedy, Count: f.Count, Since: f.Since.UnixMilli(), Loss: f.Loss,
			})
		}
	}
	slices.SortStableFunc(out, func(x, y binnacle.Finding) int {
		if x.Loss != y.Loss {
			if x.Loss {
				return -1
			}
			return 1
		}
		return cmp.Compare(x.Since, y.Since)
	})
	return out
}

// logFindings says that the log takes nothing.
func (a *App) logFindings(now time.Time) []telemetry.Finding {
	err := a.ready()
	if err == nil {
		return nil
	}
	return []telemetry.Finding{{
		Kind: "log_unwritable", Subject: a.path("wal"), Says: err.Error(), Since: now,
		Remedy: "see that the disk has room and may be written to",
	}}
}
