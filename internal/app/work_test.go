package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

// counted is a store that counts how often it is looked through.
type counted struct{ idle, retained atomic.Int64 }

func (c *counted) SealIdle(time.Time) { c.idle.Add(1) }

func (c *counted) Retain(time.Time) error { c.retained.Add(1); return nil }

// TestRetentionInterval has old data removed as often as is configured, and
// as often as a reload says from then on.
func TestRetentionInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &App{cfg: config.Default(), log: slog.New(slog.DiscardHandler)}
		a.cfg.Storage.RetentionInterval = 90 * time.Second
		a.reloads.init(a.cfg, time.Now(), prometheus.NewRegistry())
		ctx, stop := context.WithCancel(t.Context())
		var c counted
		go a.retain(ctx, &c)
		pass := func(d time.Duration, want int64) {
			t.Helper()
			idle, retained := c.idle.Load(), c.retained.Load()
			time.Sleep(d)
			synctest.Wait()
			if got := c.retained.Load() - retained; got != want {
				t.Errorf("looked through %d times in %v, want %d", got, d, want)
			}
			if got := c.idle.Load() - idle; got < int64(d/time.Second)-1 {
				t.Errorf("%d looks for idle heads in %v", got, d)
			}
		}
		pass(15*time.Minute+time.Second, 10)
		a.reloads.retain(time.Hour)
		a.reloads.retain(5 * time.Minute) // the newest counts
		synctest.Wait()
		pass(15*time.Minute+time.Second, 3)
		stop()
		synctest.Wait()
	})
}
