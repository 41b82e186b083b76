package main

import (
	"github.com/spf13/cobra"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

func (c *cli) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "serve",
		GroupID: groupRun,
		Short:   "Run the server (what happens without a command)",
		Long: "Run the server until it is told to end (Ctrl-C, SIGTERM).\n\n" +
			"Without a configuration it listens on loopback and keeps its data in ./data. SIGHUP, POST /-/reload and a\n" +
			"change of the file make it read its configuration again; it says which changes need a restart.",
		Args:    noArgs,
		Example: "  binnacle serve --data /var/lib/binnacle\n  binnacle serve --config /etc/binnacle.yaml",
	}
	c.serveAs(cmd)
	return cmd
}

// serveAs makes a command serve.
func (c *cli) serveAs(cmd *cobra.Command) {
	var from config.Source
	cmd.Flags().StringVar(&from.File, "config", "", "read the configuration from `FILE` (YAML)")
	cmd.Flags().StringVar(&from.Data, "data", "", "keep everything on disk in `DIRECTORY`; overrides the file")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // fails only for a flag that is not there
	_ = cmd.MarkFlagDirname("data")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.serve(cmd.Context(), from) }
}
