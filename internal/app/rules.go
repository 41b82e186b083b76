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
	a.quota, err = quota.New(a.cfg.Quota, files, quota.Deps{Log: a.log.With("room", "quota"), Registerer: a.reg}, now)
	return err
}
