package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/binnacle-mesh/binnacle/internal/app"
	"github.com/binnacle-mesh/binnacle/internal/config"
)

func (c *cli) checkConfigCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "check-config FILE",
		GroupID: groupConfig,
		Short:   "Say what is wrong with a configuration, without starting anything",
		Long: "Say what is wrong with a configuration, and with the files that it names, without starting anything:\n" +
			"unknown keys, values out of range, the section collector, quota rules, addresses that two listeners want.\n" +
			"It ends with 0 where all is sound, and with 3 where something is wrong.",
		Example: "  binnacle check-config /etc/binnacle.yaml && systemctl reload binnacle",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{cmd, errors.New("name one file")}
			}
			cfg, err := config.Load(args[0])
			if err != nil {
				return err
			}
			if err := app.Check(cmd.Context(), cfg); err != nil {
				return fmt.Errorf("configuration %s: %w", args[0], err)
			}
			_, err = fmt.Fprintf(c.stdout, "%s is %s\n", args[0], c.paint("32", "sound"))
			return err
		},
	}
}
