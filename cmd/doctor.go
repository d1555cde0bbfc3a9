package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/runtime"
)

func newDoctorCommand(a *app) *cobra.Command {
	var asJSON, fetch bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check whether this machine has what plateau needs",
		Long: strings.TrimSpace(`
Looks for ONNX Runtime, tries its execution providers, and shows cores, memory and the cache, each with whether it
is fine and what to do when it is not. It changes nothing unless --fetch is given.`),
		Example: "  plateau doctor\n  plateau doctor --fetch --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report := runtime.Doctor(cmd.Context(), runtime.DoctorSettings{Settings: a.runtimeSettings(), Fetch: fetch})
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			var err error
			if asJSON {
				err = printJSON(a.stdout, report)
			} else if err = report.WriteText(a.stdout); err != nil {
				err = fmt.Errorf("writing the output: %w", err)
			}
			return errors.Join(err, report.Err())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as one JSON object")
	cmd.Flags().BoolVar(&fetch, "fetch", false, "fetch ONNX Runtime when it is not there yet")
	return cmd
}
