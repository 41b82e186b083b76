package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (c *cli) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:     "completion SHELL",
		GroupID: groupOther,
		Short:   "Print what makes bash, zsh or fish complete commands and flags",
		Example: "  source <(binnacle completion bash)                                  # this shell; put it into ~/.bashrc for all\n" +
			"  binnacle completion zsh > \"${fpath[1]}/_binnacle\"\n" +
			"  binnacle completion fish > ~/.config/fish/completions/binnacle.fish",
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{cmd, fmt.Errorf("name one shell: %s", strings.Join(shells, ", "))}
			}
			switch root := cmd.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(c.stdout, true)
			case "zsh":
				return root.GenZshCompletion(c.stdout)
			case "fish":
				return root.GenFishCompletion(c.stdout, true)
			}
			return usageError{cmd, fmt.Errorf("%q is none of %s%s", args[0], strings.Join(shells, ", "), didYouMean(args[0], shells, ""))}
		},
	}
}
