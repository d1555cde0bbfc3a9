package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newReferenceCommand prints REFERENCE.md and SETTINGS.md, which lie beside this file. It is for those who change commands.
func newReferenceCommand(a *app) *cobra.Command {
	var settings bool
	cmd := &cobra.Command{
		Use:     "reference",
		Short:   "Print the reference of all commands, or of all settings, as Markdown",
		Example: "  plateau reference > REFERENCE.md\n  plateau reference --settings > SETTINGS.md",
		Hidden:  true,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !settings {
				return writeAll(a.stdout, reference(cmd.Root()))
			}
			reg, err := a.kinds()
			if err != nil {
				return err
			}
			text, err := settingsReference(reg)
			if err != nil {
				return err
			}
			return writeAll(a.stdout, text)
		},
	}
	cmd.Flags().BoolVar(&settings, "settings", false, "print that of the stage kinds and their settings")
	return cmd
}

// reference describes a command and all below it, as their help does.
func reference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# Commands of plateau\n\nMade from the commands' own help by `plateau reference`.\n")
	section := func(title, text string) {
		if text != "" {
			fmt.Fprintf(&b, "\n%s\n\n```\n%s\n```\n", title, strings.TrimRight(text, "\n"))
		}
	}
	for _, c := range allCommands(root) {
		if !listed(c) {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n", c.CommandPath(), strings.TrimSuffix(c.Short, "."))
		if c.Long != "" {
			fmt.Fprintf(&b, "\n%s\n", markdown(c.Long))
		}
		if c.Runnable() && !c.HasSubCommands() {
			section("Usage:", "  "+strings.TrimSpace(strings.ReplaceAll(c.UseLine(), " [flags]", ""))+" [flags]")
		}
		section("Examples:", c.Example)
		flags := pflag.NewFlagSet(c.Name(), pflag.ContinueOnError)
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && f.Name != "version" {
				flags.AddFlag(f)
			}
		})
		title := "Flags:"
		if c == root {
			title = "Flags of every command; each may also be given as PLATEAU_NAME in the environment or in the configuration file:"
		}
		section(title, flags.FlagUsages())
	}
	return b.String()
}

// markdown keeps the text of a help as it is: paragraphs with a leading blank are code, as in Go's comments.
func markdown(help string) string {
	paragraphs := strings.Split(strings.TrimSpace(help), "\n\n")
	for i, p := range paragraphs {
		if strings.HasPrefix(p, "  ") {
			paragraphs[i] = "```\n" + p + "\n```"
			continue
		}
		// What looks like a tag is a word in a help text.
		paragraphs[i] = strings.NewReplacer("<", "&lt;", "*", `\*`, "_", `\_`).Replace(p)
	}
	return strings.Join(paragraphs, "\n\n")
}

// listed tells whether a command is one that people see.
func listed(c *cobra.Command) bool {
	for ; c != nil; c = c.Parent() {
		if c.Hidden || c.Name() == "help" {
			return false
		}
	}
	return true
}
