package cmd

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
)

func newSchemaCommand(a *app) *cobra.Command {
	var events bool
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of documents, for editors",
		Long: strings.TrimSpace(`
Prints the JSON Schema of pipeline documents: every key, stage kind, input and setting, with types, defaults
and help. An editor that knows the schema completes names and marks mistakes while a document is written. Name
it in the document's first line, for example

  # yaml-language-server: $schema=plateau.schema.json

or under the key $schema. plateau itself needs neither, and finds more: see plateau validate.

With --events it is the schema of a line of events.jsonl, for programs that follow runs.`),
		Example: "  plateau schema > plateau.schema.json\n  plateau schema --events > events.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if events {
				return writeAll(a.stdout, string(event.Schema()))
			}
			reg, err := a.kinds()
			if err != nil {
				return err
			}
			text, err := pipeline.Schema(reg)
			if err != nil {
				return err
			}
			return writeAll(a.stdout, string(text))
		},
	}
	cmd.Flags().BoolVar(&events, "events", false, "print the schema of the lines of events.jsonl")
	return cmd
}
