package main

import (
	"github.com/spf13/cobra"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

func (c *cli) configSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "config-schema",
		GroupID: groupConfig,
		Short:   "Print the JSON Schema of the configuration, by which editors complete it",
		Example: "  binnacle config-schema > binnacle.schema.json   # then, as the configuration's first line:\n" +
			"  # yaml-language-server: $schema=binnacle.schema.json",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := c.stdout.Write(config.Schema())
			return err
		},
	}
}
