package app

import (
	"github.com/binnacle-mesh/binnacle/internal/api/binnacle"
	"github.com/binnacle-mesh/binnacle/quota"
)

// quotas is the quota service's status as /api/v1/quotas shows it.
func quotas(s quota.Status) binnacle.Quotas {
	out := binnacle.Quotas{
		Generation: s.Generation, LoadedAt: s.LoadedAt.UnixMilli(), Error: s.Error,
		Counter: binnacle.QuotaCounter{Error: s.Counter.Error, Fallback: s.Counter.Fallback},
		Files:   make([]binnacle.QuotaFile, len(s.Files)), Rules: make([]binnacle.QuotaRule, len(s.Rules)),
	}
	if at := s.Counter.FailedAt; !at.IsZero() {
		out.Counter.FailedAt = at.UnixMilli()
	}
	for i, f := range s.Files {
		out.Files[i] = binnacle.QuotaFile(f)
	}
	for i := range s.Rules {
		r := &s.Rules[i]
		out.Rules[i] = binnacle.QuotaRule{
			ID: r.ID, Domain: r.Domain, Descriptor: r.Descriptor, Name: r.Name, Unit: r.Unit, RequestsPerUnit: r.RequestsPerUnit,
			Unlimited: r.Unlimited, ShadowMode: r.ShadowMode, QuotaMode: r.QuotaMode,
			Decisions: binnacle.QuotaDecisions(r.Decisions), Rates: binnacle.QuotaRates(r.Rates),
			ActiveKeys: r.ActiveKeys, Top: make([]binnacle.QuotaKey, len(r.Top)),
		}
		for k, t := range r.Top {
			out.Rules[i].Top[k] = binnacle.QuotaKey{
				Key: t.Key, Used: t.Used, Limit: t.Limit, Limited: t.Limited, LimitedRate: t.LimitedRate, ResetsIn: t.ResetsIn.Milliseconds(),
			}
		}
	}
	return out
}
