package app

import (
	"fmt"
	"time"

	"github.com/binnacle-mesh/binnacle/quota"
	"github.com/binnacle-mesh/binnacle/storage/journal"
)

// openQuota reads the rule files, and what was used before the start, and makes the quota engine of them.
func (a *App) openQuota(now time.Time) error {
	files, err := a.rulesOf(a.cfg)
	if err != nil {
		return err
	}
	recall := quota.NewRecall(a.cfg.Quota, now.Unix())
	kept, found, err := journal.Open(a.path("quota", "counters"), recall.Add)
	if err != nil {
		return fmt.Errorf("restore quota counters: %w", err)
	}
	recall.Missing(found.Torn, found.Damage)
	deps := quota.Deps{
		Secret: quota.RandomSecret(), Journal: kept, Recall: recall, Log: a.log.With("room", "quota"), Registerer: a.reg,
	}
	a.quota, err = quota.New(a.cfg.Quota, files, deps, now)
	return err
}
