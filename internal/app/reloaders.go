package app

import (
	"fmt"
	"reflect"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/config"
	"github.com/binnacle-mesh/binnacle/quota/rule"
)

// A reloader puts some settings in force while the server runs.
type reloader struct {
	name string
	// settings are what it takes, by path; a section stands for all in it but what
	// is in except.
	settings, except []string
	// prepare is called when one of them has changed, and always where it looks at
	// more than the configuration. It may refuse, and changes nothing before the commit that
	// it returns. also are changes of something else than settings.
	prepare func(next config.Config) (commit func(), also []config.Change, err error)
	looks   bool // at more than the configuration
}

// reloaders is everything that can change while the server runs.
func (a *App) reloaders() []reloader {
	// set is a prepare that has nothing to refuse: what it takes is valid.
	set := func(put func(next config.Config)) func(config.Config) (func(), []config.Change, error) {
		return func(next config.Config) (func(), []config.Change, error) {
			return func() { put(next) }, nil, nil
		}
	}
	return []reloader{
		{
			name: "log level", settings: []string{"log.level"},
			prepare: set(func(c config.Config) { a.level.Set(levelOf(c.Log)) }),
		},
		{
			name: "limits of messages", settings: []string{"receive.limits"},
			prepare: set(func(c config.Config) { a.collector.SetLimits(c.Receive.Limits) }),
		},
		{
			name: "health", settings: []string{"topology.health"},
			prepare: set(func(c config.Config) {
				a.topology.SetHealth(c.Topology.Health)
				a.past.SetHealth(c.Topology.Health)
			}),
		},
		{
			name:     "retention of traces",
			settings: []string{"storage.blocks.retention_age", "storage.blocks.retention_bytes", "storage.retention_interval"},
			prepare: set(func(c config.Config) {
				a.blocks.SetRetention(c.Storage.Blocks.RetentionAge, c.Storage.Blocks.RetentionBytes)
				a.reloads.retain(c.Storage.RetentionInterval)
			}),
		},
		{
			name: "retention of series", settings: []string{"storage.series.retention_age", "storage.series.retention_bytes"},
			prepare: set(func(c config.Config) {
				a.series.SetRetention(c.Storage.Series.RetentionAge, c.Storage.Series.RetentionBytes)
			}),
		},
		{
			name: "quotas", settings: []string{"quota"}, except: []string{"quota.max_keys", "quota.max_edges"},
			prepare: a.prepareQuota, looks: true,
		},
	}
}

// prepareQuota reads the rule files, which may have changed though no setting has.
func (a *App) prepareQuota(next config.Config) (commit func(), also []config.Change, err error) {
	files, err := next.QuotaRules()
	if err != nil {
		a.quota.Refuse(err)
		return nil, nil, err
	}
	put, err := a.quota.Prepare(next.Quota, files, time.Now())
	if err != nil {
		return nil, nil, err
	}
	if !reflect.DeepEqual(files, a.reloads.rules) {
		also = []config.Change{{Path: "quota.files", New: fmt.Sprintf("%d files read anew", len(files))}}
	}
	return func() { put(); a.reloads.rules = files }, also, nil
}

// rulesOf are the rule files of the start.
func (a *App) rulesOf(cfg config.Config) ([]rule.File, error) {
	files, err := cfg.QuotaRules()
	if err != nil {
		return nil, config.Invalid(err)
	}
	a.reloads.rules = files
	return files, nil
}
