// Command binnacle is the one binary. `binnacle help` lists its commands; each
// is a file here.
//
// It ends with 0 when all went well, 1 when something failed, 2 when the command
// line was not understood, and 3 when a configuration is wrong.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/binnacle-mesh/binnacle/internal/app"
	"github.com/binnacle-mesh/binnacle/internal/config"
)

// version is set by the linker.
var version = "dev"

// A cli is the command line with what it touches.
type cli struct {
	version        string
	stdout, stderr io.Writer
	colour         bool // stdout is a terminal whose user did not ask for plain text
	serve          func(context.Context, config.Source) error
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	c := cli{
		version: version, stdout: os.Stdout, stderr: os.Stderr, colour: wantsColour(os.Stdout),
		serve: func(ctx context.Context, s config.Source) error { return app.Serve(ctx, s, version) },
	}
	code := c.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
