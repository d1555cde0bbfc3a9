package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/pipeline"
)

func newValidateCommand(a *app) *cobra.Command {
	var f documentFlags
	var asJSON, noFiles bool
	cmd := &cobra.Command{
		Use:   "validate DOCUMENT",
		Short: "Find every mistake in a document",
		Long: strings.TrimSpace(`
Checks every key, kind, input and setting of a document, and the files that settings name: tables, and up to 5,000 pictures of
a folder. Lists all mistakes with their places.`),
		Example:           "  plateau validate mine.yaml\n  plateau validate quickstart --set train.epochs=3",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeDocument,
		RunE: func(cmd *cobra.Command, args []string) error {
			reg, err := a.kinds()
			if err != nil {
				return err
			}
			doc, err := openDocument(args[0])
			switch {
			case err != nil:
			case noFiles:
				err = doc.Check(cmd.Context(), reg, f.overrides)
			default:
				err = doc.Inspect(cmd.Context(), reg, f.overrides)
			}
			if asJSON {
				return errors.Join(err, printJSON(a.stdout, validationJSON(args[0], err)))
			}
			if err == nil {
				fmt.Fprintf(a.stderr, "%s is valid\n", args[0])
			}
			return err
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&noFiles, "no-files", false, "check the document alone, as where its data are not")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the mistakes as one JSON object on stdout")
	return cmd
}

type jsonValidation struct {
	Document string        `json:"document"`
	Valid    bool          `json:"valid"`
	Mistakes []jsonMistake `json:"mistakes"`
}

type jsonMistake struct {
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Override string `json:"override,omitempty"`
	Summary  string `json:"summary"`
	Hint     string `json:"hint,omitempty"`
}

func validationJSON(document string, err error) jsonValidation {
	out := jsonValidation{Document: document, Valid: err == nil, Mistakes: []jsonMistake{}}
	var list *pipeline.DiagnosticsError
	switch {
	case errors.As(err, &list):
		for _, d := range list.Diagnostics {
			out.Mistakes = append(out.Mistakes, jsonMistake{d.File, d.Line, d.Column, d.Override, d.Summary, d.Hint})
		}
	case err != nil:
		out.Mistakes = append(out.Mistakes, jsonMistake{Summary: err.Error()})
	}
	return out
}
