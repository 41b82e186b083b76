package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

// The exit codes, as docs/operations/commands.md has them.
const (
	exitOK     = 0
	exitFailed = 1 // what was asked for could not be done
	exitUsage  = 2 // the command line was not understood
	exitConfig = 3 // a configuration, or a file that it names, is wrong
)

// A usageError is a command line that cmd did not understand.
type usageError struct {
	cmd *cobra.Command
	error
}

// report tells what went wrong, on standard error, and returns the exit code for it.
func (c *cli) report(err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(c.stderr, "binnacle: %v\n", err)
	if u, ok := errors.AsType[usageError](err); ok {
		ask := strings.Replace(u.cmd.CommandPath(), "binnacle", "binnacle help", 1)
		fmt.Fprintf(c.stderr, "`%s` lists what can be asked for\n", ask)
		return exitUsage
	}
	if errors.Is(err, config.ErrInvalid) {
		return exitConfig
	}
	return exitFailed
}
