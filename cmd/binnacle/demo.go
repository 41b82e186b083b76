package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/binnacle-mesh/binnacle/internal/app"
	"github.com/binnacle-mesh/binnacle/internal/config"
	"github.com/binnacle-mesh/binnacle/internal/demo"
)

func (c *cli) demoCommand() *cobra.Command {
	cfg, mesh := config.Default(), demo.DefaultConfig()
	cfg.Data = ""
	var calm bool
	cmd := &cobra.Command{
		Use:     "demo",
		GroupID: groupRun,
		Short:   "Run the server with a mesh of real Envoys beside it",
		Long: "Run the server with a mesh of real Envoys under load beside it, in which one thing after another goes wrong.\n" +
			"Its data is thrown away at the end unless --data names a directory.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			mesh.Story = !calm
			return c.runDemo(cmd.Context(), cfg, mesh)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Data, "data", "", "keep the data in `DIRECTORY`")
	f.StringVar(&cfg.Listen.Web, "web", cfg.Listen.Web, "serve the web view at `ADDRESS`")
	f.Float64Var(&mesh.Rate, "rate", mesh.Rate, "requests a second that enter the mesh")
	f.BoolVar(&calm, "no-story", false, "leave out the story: nothing breaks")
	f.StringVar(&mesh.Chapter, "chapter", "", "tell `CHAPTER` for ever, one of "+strings.Join(demo.Chapters(), ", "))
	f.IntVar(&mesh.BasePort, "base-port", mesh.BasePort, "first of the loopback ports that the Envoys listen on")
	_ = cmd.MarkFlagDirname("data") // fails only for a flag that is not there
	_ = cmd.RegisterFlagCompletionFunc("chapter", cobra.FixedCompletions(demo.Chapters(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// runDemo runs the server with the demo mesh beside it, until either fails or
// ctx ends.
func (c *cli) runDemo(ctx context.Context, cfg config.Config, mesh demo.Config) (err error) {
	if cfg.Data == "" {
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
	log := app.NewLogger(cfg.Log, c.stderr)
	server, err := app.New(ctx, cfg, c.version, log)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { defer stop(); served <- server.Run(ctx) }()
	fmt.Fprintf(c.stdout, "\n  Binnacle is at %s - open it in a browser; the mesh is starting. Ctrl-C ends both.\n\n", c.bold("http://"+cfg.Listen.Web))
	meshErr := demo.Run(ctx, mesh, log.With("room", "demo"))
	stop()
	return errors.Join(meshErr, <-served)
}
