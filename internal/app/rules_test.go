package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/config"
	"github.com/binnacle-mesh/binnacle/internal/watch"
	"github.com/binnacle-mesh/binnacle/quota"
)

// TestRuleFilesAreWatched: a changed rule file, a replaced one, a bad one and one that is gone are noticed without being told.
func TestRuleFilesAreWatched(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	const shop = "domain: shop\ndescriptors:\n- {key: a, rate_limit: {unit: hour, requests_per_unit: 1}}\n"
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, shop)
	a := &App{cfg: config.Default(), log: slog.New(slog.DiscardHandler), reg: prometheus.NewRegistry()}
	a.cfg.Quota.Files = []string{file}
	a.reloads.init(a.cfg, time.Now(), a.reg)
	if err := a.openQuota(time.Now()); err != nil {
		t.Fatal(err)
	}
	var err error
	if a.watcher, err = watch.New(a.log, a.reg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { a.reloadWhenChanged(ctx) })
	defer wg.Wait()
	defer cancel()
	until := func(what string, done func(quota.Status) bool) {
		t.Helper()
		for range 1500 { // 30 s, of which milliseconds are used
			if done(a.quota.Status(time.Now())) {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Fatalf("%s was not noticed", what)
	}
	write(file, shop+"# changed\n")
	until("a written file", func(s quota.Status) bool { return s.Generation == 2 })
	write(file+".new", "domain: other")
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	until("a replaced file", func(s quota.Status) bool { return s.Generation == 3 && s.Files[0].Domain == "other" })
	write(file, "nonsense: 1")
	until("a bad file", func(s quota.Status) bool {
		return s.Generation == 3 && strings.Contains(s.Error, `key "nonsense" is not known`)
	})
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	until("a file that is gone", func(s quota.Status) bool { return s.Generation == 3 && strings.Contains(s.Error, "no such file") })
	write(file, "domain: other")
	until("the good one again", func(s quota.Status) bool { return s.Generation == 3 && s.Error == "" })
}
