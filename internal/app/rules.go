package app

import (
	"time"

	"github.com/binnacle-mesh/binnacle/quota"
)

// openQuota reads the rule files and makes the quota engine of them.
func (a *App) openQuota(now time.Time) error {
	files, err := a.rulesOf(a.cfg)
	if err != nil {
		return err
	}
	deps := quota.Deps{Secret: quota.RandomSecret(), Log: a.log.With("room", "quota"), Registerer: a.reg}
	a.quota, err = quota.New(a.cfg.Quota, files, deps, now)
	return err
}
