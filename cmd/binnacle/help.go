package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func (c *cli) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		GroupID: groupOther,
		Short:   "Say what a command does and which flags it has",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			for _, s := range root.Commands() {
				names = append(names, cobra.CompletionWithDesc(s.Name(), s.Short))
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("unknown command %q", rest[0])
			}
			if err != nil {
				return unknownCommand(root, err)
			}
			c.help(cmd)
			return nil
		},
	}
}

// help writes what there is to say about cmd.
func (c *cli) help(cmd *cobra.Command) {
	var b strings.Builder
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	fmt.Fprintf(&b, "%s\n\n%s\n  %s\n", about, c.bold("Usage"), usageLine(cmd))
	for _, g := range cmd.Groups() {
		fmt.Fprintf(&b, "\n%s\n", c.bold(g.Title))
		for _, s := range cmd.Commands() {
			if s.GroupID == g.ID {
				fmt.Fprintf(&b, "  %-14s %s\n", s.Name(), s.Short)
			}
		}
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\n%s\n%s\n", c.bold("Examples"), cmd.Example)
	}
	cmd.InitDefaultHelpFlag()
	fmt.Fprintf(&b, "\n%s\n%s", c.bold("Flags"), cmd.Flags().FlagUsages())
	if !cmd.HasParent() {
		fmt.Fprintf(&b, "\nWithout a command it serves. `binnacle help COMMAND` tells more of one.\n"+
			"It ends with 0 when all went well, 1 when something failed, 2 when the command line was not understood,\n"+
			"and 3 when a configuration is wrong.\n")
	}
	fmt.Fprint(c.stdout, b.String()) //nolint:errcheck // nobody is left to be told
}

func usageLine(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return "binnacle [COMMAND] [FLAGS]"
	}
	line := cmd.UseLine()
	return strings.Replace(line, "[flags]", "[FLAGS]", 1)
}

func (c *cli) bold(s string) string { return c.paint("1", s) }

// paint puts an SGR attribute around s where the user sees colours.
func (c *cli) paint(attribute, s string) string {
	if !c.colour {
		return s
	}
	return "\x1b[" + attribute + "m" + s + "\x1b[0m"
}

// wantsColour says whether f is a terminal whose user did not ask for plain
// text, as https://no-color.org has it.
func wantsColour(f *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd())) //nolint:gosec // descriptors are small
}
