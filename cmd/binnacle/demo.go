package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/binnacle-mesh/binnacle/internal/app"
	"github.com/binnacle-mesh/binnacle/internal/config"
	"github.com/binnacle-mesh/binnacle/internal/demo"
)

// runDemo runs the server with the demo mesh beside it, until either fails or
// ctx ends. Its data is thrown away at the end unless --data names a directory.
func runDemo(ctx context.Context, args []string) (err error) {
	cfg, mesh := config.Default(), demo.DefaultConfig()
	f := flag.NewFlagSet("binnacle demo", flag.ContinueOnError)
	data := f.String("data", "", "keep the data in this directory")
	f.StringVar(&cfg.Listen.Web, "web", cfg.Listen.Web, "address of the web view")
	f.Float64Var(&mesh.Rate, "rate", mesh.Rate, "requests a second that enter the mesh")
	calm := f.Bool("no-story", false, "leave out the story: nothing breaks")
	f.StringVar(&mesh.Chapter, "chapter", "", "tell one chapter for ever: "+strings.Join(demo.Chapters(), ", "))
	f.IntVar(&mesh.BasePort, "base-port", mesh.BasePort, "first of the loopback ports that the Envoys listen on")
	if err := f.Parse(args); err != nil {
		return err
	}
	mesh.Story = !*calm
	if cfg.Data = *data; cfg.Data == "" {
		if cfg.Data, err = os.MkdirTemp("", "binnacle-demo"); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(cfg.Data)) }()
	}
	rules := filepath.Join(cfg.Data, "quota")
	if err := os.MkdirAll(rules, 0o755); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := os.WriteFile(filepath.Join(rules, "shop.yaml"), demo.QuotaYAML(), 0o644); err != nil { //nolint:gosec // rules are no secret
		return fmt.Errorf("demo: %w", err)
	}
	cfg.Quota.Files = []string{rules}
	log := app.NewLogger(cfg.Log, os.Stderr)
	server, err := app.New(ctx, cfg, version, log)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { defer stop(); served <- server.Run(ctx) }()
	fmt.Printf("\n  Binnacle is at http://%s - open it in a browser; the mesh is starting. Ctrl-C ends both.\n\n", cfg.Listen.Web)
	meshErr := demo.Run(ctx, mesh, log.With("room", "demo"))
	stop()
	return errors.Join(meshErr, <-served)
}
