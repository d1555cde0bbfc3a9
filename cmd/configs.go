package cmd

import (
	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/configs"
	"github.com/plateau-nas/plateau/pipeline"
)

func newConfigsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "configs",
		Short:   "List and show the shipped documents",
		Example: "  plateau configs list\n  plateau configs show quickstart > mine.yaml",
	}
	return group(cmd, newConfigsListCommand(a), newConfigsShowCommand(a))
}

func newConfigsListCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the shipped documents, with a line on each",
		Example: "  plateau configs list",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return printJSON(a.stdout, configs.Names())
			}
			t := table{}
			for _, name := range configs.Names() {
				about, err := configs.About(name)
				if err != nil {
					return err
				}
				t.add(name, about)
			}
			return writeAll(a.stdout, t.text(0))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the names as a JSON array")
	return cmd
}

func newConfigsShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Print a shipped document, comments included",
		Example: "  plateau configs show quickstart > mine.yaml",
		Args:    cobra.ExactArgs(1),

		ValidArgsFunction: completeShipped,
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := configs.Read(args[0])
			if err != nil {
				return usagef("there is no shipped document %q; %s", args[0], pipeline.Suggest(args[0], "documents", configs.Names()))
			}
			return writeAll(a.stdout, string(text))
		},
	}
}
