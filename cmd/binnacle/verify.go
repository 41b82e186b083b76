package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/binnacle-mesh/binnacle/internal/app"
	"github.com/binnacle-mesh/binnacle/internal/config"
)

func (c *cli) verifyCommand() *cobra.Command {
	var from config.Source
	cmd := &cobra.Command{
		Use:     "verify",
		GroupID: groupRun,
		Short:   "Check all that a server keeps on disk, and change nothing",
		Long: "Read all that a server keeps in its data directory (log, checkpoints, blocks of spans, series, quota counters) and hold it\n" +
			"against its checksums and against itself. Nothing is changed, and a server may be at work in the directory.\n" +
			"It ends with 0 where all is whole, and with 1 where something is damaged or could not be read.",
		Args:    noArgs,
		Example: "  binnacle verify --data /var/lib/binnacle",
	}
	cmd.Flags().StringVar(&from.File, "config", "", "read where the data are from `FILE` (YAML)")
	cmd.Flags().StringVar(&from.Data, "data", "", "check `DIRECTORY`; overrides the file")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // fails only for a flag that is not there
	_ = cmd.MarkFlagDirname("data")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := from.Load()
		if err != nil {
			return err
		}
		parts, err := app.Verify(cmd.Context(), cfg.Data)
		problems := 0
		for _, v := range parts {
			problems += len(v.Problems)
			state := c.paint("32", "whole")
			if len(v.Problems) > 0 {
				state = c.paint("31", "DAMAGED")
			}
			fmt.Fprintf(c.stdout, "%-15s %-8s %s\n", v.Part, state, v.Holds)
			for _, p := range v.Problems {
				fmt.Fprintf(c.stdout, "    %s: %s\n", p.File, p.Reason)
			}
		}
		if err != nil {
			return err
		}
		if problems > 0 {
			return fmt.Errorf("verify %s: %d problems; a server that starts on it goes on with all that can be read, and says what is lost", cfg.Data, problems)
		}
		return nil
	}
	return cmd
}
