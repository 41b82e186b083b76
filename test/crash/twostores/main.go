// Command twostores is the server with a second trace store that follows the log beside its own, for the tests that kill it
// and for those that have a follower stand still.
//
//	twostores --config FILE --second DIR [--sleep DURATION --after SPANS]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/app"
	"github.com/binnacle-mesh/binnacle/internal/config"
	"github.com/binnacle-mesh/binnacle/storage/block"
	"github.com/binnacle-mesh/binnacle/storage/wal"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "twostores:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("twostores", flag.ContinueOnError)
	file := f.String("config", "", "configuration of the server")
	dir := f.String("second", "", "directory of the second trace store")
	sleep := f.Duration("sleep", 0, "how long the second store stands still, once")
	after := f.Int("after", 0, "after how many spans it does")
	if err := f.Parse(args); err != nil {
		return err
	}
	cfg, err := config.Load(*file)
	if err != nil {
		return err
	}
	log := app.NewLogger(cfg.Log, os.Stderr)
	second, err := block.Open(*dir, cfg.Storage.Blocks, log.With("room", "second"), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	store := &sleeper{Store: second, sleep: *sleep, after: *after}
	a, err := app.New(ctx, cfg, "twostores", log, app.Follower{Name: "second", Policy: wal.Policy{Essential: true}, Store: store})
	if err != nil {
		return errors.Join(err, second.Close())
	}
	err = a.Run(ctx)
	seal, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return errors.Join(err, second.Seal(seal), second.Close())
}

// A sleeper is a trace store that stands still once.
type sleeper struct {
	*block.Store
	sleep time.Duration
	after int
	spans int
}

// Consume implements telemetry.Sink.
func (s *sleeper) Consume(e telemetry.Entry) error {
	s.spans += len(e.Batch.Spans)
	if s.sleep > 0 && s.spans > s.after {
		time.Sleep(s.sleep)
		s.sleep = 0
	}
	return s.Store.Consume(e)
}
