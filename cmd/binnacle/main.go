// Command binnacle is the one binary.
//
//	binnacle [serve] [--config FILE] [--data DIR]   the server
//	binnacle demo    [--rate N] [--no-story]        the server with a mesh of real Envoys beside it
//	binnacle check-config FILE                      says what is wrong with a configuration
//	binnacle version
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/binnacle-mesh/binnacle/internal/app"
	"github.com/binnacle-mesh/binnacle/internal/config"
)

var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "binnacle:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	command := "serve"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	switch command {
	case "serve":
		cfg, err := serveFlags(args)
		if err != nil {
			return err
		}
		return app.Serve(ctx, cfg, version)
	case "demo":
		return runDemo(ctx, args)
	case "check-config":
		if len(args) != 1 {
			return errors.New("check-config: name one file")
		}
		cfg, err := config.Load(args[0])
		if err == nil {
			err = cfg.CheckFiles()
		}
		if err != nil {
			return err
		}
		fmt.Println(args[0], "is sound")
		return nil
	case "version":
		fmt.Println("binnacle", version)
		return nil
	}
	return fmt.Errorf("%q is none of serve, demo, check-config, version", command)
}

// serveFlags reads the command line over the configuration file.
func serveFlags(args []string) (config.Config, error) {
	f := flag.NewFlagSet("binnacle serve", flag.ContinueOnError)
	file := f.String("config", "", "configuration file (YAML)")
	data := f.String("data", "", "directory for everything on disk; overrides the file")
	if err := f.Parse(args); err != nil {
		return config.Config{}, err
	}
	cfg, err := config.Load(*file)
	if *data != "" {
		cfg.Data = *data
	}
	return cfg, err
}
