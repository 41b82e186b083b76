package app

import (
	"context"
	"time"

	"github.com/binnacle-mesh/binnacle/quota"
)

// openQuota reads the rule files and makes the quota engine of them.
func (a *App) openQuota(now time.Time) error {
	files, err := a.cfg.QuotaRules()
	if err != nil {
		return err
	}
	a.quota, err = quota.New(a.cfg.Quota, files, quota.Deps{Log: a.log.With("room", "quota"), Registerer: a.reg}, now)
	return err
}

// reloadRules reads the rule files again. Whether they were taken is told in
// the log and by /api/v1/quotas.
func (a *App) reloadRules(now time.Time) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	files, err := a.cfg.QuotaRules()
	if err != nil {
		a.quota.Refuse(err)
		return err
	}
	commit, err := a.quota.Prepare(a.cfg.Quota, files, now)
	if err != nil {
		return err
	}
	commit()
	return nil
}

// watchRules reloads the rule files whenever they change, until ctx ends.
func (a *App) watchRules(ctx context.Context) {
	a.watcher.Run(ctx, func() []string { return a.cfg.Quota.Files }, func() { _ = a.reloadRules(time.Now()) })
}
