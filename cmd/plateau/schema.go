package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/pipeline"
)

func newSchemaCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of documents, for editors",
		Long: strings.TrimSpace(`
Prints the JSON Schema of pipeline documents: every key, stage kind, input and setting, with types, defaults
and help. An editor that knows the schema completes names and marks mistakes while a document is written. Name
it in the document's first line, for example

  # yaml-language-server: $schema=plateau.schema.json

or under the key $schema. plateau itself needs neither, and finds more: see plateau validate.`),
		Example: "  plateau schema > plateau.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
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
}
