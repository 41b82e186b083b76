package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The groups in which help lists the commands.
const (
	groupRun    = "run"
	groupConfig = "config"
	groupOther  = "other"
)

// run carries out one command line and returns the process' exit code.
func (c *cli) run(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(append([]string{}, args...)) // nil would stand for os.Args
	err := mistaken(root, args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	return c.report(err)
}

// mistaken finds commands that do not exist and flags with one dash, before
// cobra complains of the flags of the one and the letters of the other.
func mistaken(root *cobra.Command, args []string) error {
	if len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd) {
		return nil // a shell asks what can be completed
	}
	for _, a := range args {
		if name, ok := strings.CutPrefix(a, "-"); ok && len(name) > 1 && name[0] != '-' {
			return usageError{root, fmt.Errorf("flags have two dashes: --%s", name)}
		}
	}
	if _, _, err := root.Find(args); err != nil {
		return unknownCommand(root, err)
	}
	return nil
}

// root is the whole tree of commands. Called without one it serves.
func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:     "binnacle",
		Short:   "Binnacle watches a service mesh: its live graph, golden signals, traces and quotas",
		Version: c.version,
		// Errors are printed in one place, by report.
		SilenceErrors: true, SilenceUsage: true,
		DisableSuggestions: true,
		CompletionOptions:  cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	c.serveAs(root)
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run"},
		&cobra.Group{ID: groupConfig, Title: "Configuration"},
		&cobra.Group{ID: groupOther, Title: "More"})
	root.AddCommand(c.serveCommand(), c.demoCommand(), c.checkConfigCommand(), c.verifyCommand(), c.configSchemaCommand(), c.versionCommand(), c.completionCommand())
	root.SetHelpCommand(c.helpCommand(root))
	root.InitDefaultHelpCmd()
	root.PersistentFlags().BoolP("help", "h", false, "say this")
	root.Flags().BoolP("version", "v", false, "say which version this is")
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { c.help(cmd) })
	root.SetVersionTemplate(c.versionText())
	root.SetFlagErrorFunc(unknownFlag)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	return root
}

// unknownCommand makes an error of cobra's that names a command which does not
// exist into one that names the nearest which does.
func unknownCommand(parent *cobra.Command, err error) error {
	var name string
	if _, scan := fmt.Sscanf(err.Error(), "unknown command %q", &name); scan != nil {
		return usageError{parent, err}
	}
	var names []string
	for _, c := range parent.Commands() {
		names = append(names, c.Name())
	}
	return usageError{parent, fmt.Errorf("there is no command %q%s", name, didYouMean(name, names, ""))}
}

// unknownFlag is the same for flags; other mistakes in flags it passes on.
func unknownFlag(cmd *cobra.Command, err error) error {
	name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		what, _, _ := strings.Cut(err.Error(), ": strconv.") // how Go reads numbers is no matter here
		return usageError{cmd, errors.New(what)}
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return usageError{cmd, fmt.Errorf("%s has no flag --%s%s", cmd.CommandPath(), name, didYouMean(name, names, "--"))}
}

// noArgs refuses arguments where there are none to give.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{cmd, fmt.Errorf("%s takes no arguments, and was given %q", cmd.CommandPath(), args[0])}
	}
	return nil
}
