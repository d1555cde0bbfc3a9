package cmd

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/store"
)

func newPlanCommand(a *app) *cobra.Command {
	var f documentFlags
	var format string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plan DOCUMENT",
		Short: "Say what a run would do, and why",
		Long: strings.TrimSpace(`
Checks a document and says for each stage whether a run would compute it, continue it from a checkpoint or
reuse its stored result, and why.`),
		Example:           "  plateau plan quickstart\n  plateau plan mine.yaml --format mermaid",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeDocument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if asJSON {
				format = "json"
			}
			return a.printPlan(cmd.Context(), args[0], f, format)
		},
	}
	f.add(cmd)
	f.addChoice(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "how to print it: "+strings.Join(planFormats(), ", "))
	cmd.Flags().BoolVar(&asJSON, "json", false, "the same as --format json")
	return cmd
}

// plan checks a document and plans its run.
func (a *app) plan(ctx context.Context, document string, f documentFlags) (*pipeline.Plan, *store.Store, error) {
	doc, err := openDocument(document)
	if err != nil {
		return nil, nil, err
	}
	reg, err := a.kinds()
	if err != nil {
		return nil, nil, err
	}
	// Before the store is touched: a document with mistakes leaves nothing behind.
	if err := doc.Check(ctx, reg, f.overrides); err != nil {
		return nil, nil, err
	}
	st, err := a.openStore()
	if err != nil {
		return nil, nil, err
	}
	plan, err := doc.Plan(ctx, reg, st, f.options())
	return plan, st, err
}

func (a *app) printPlan(ctx context.Context, document string, f documentFlags, format string) error {
	if !slices.Contains(planFormats(), format) {
		return usagef("--format: there is no format %q; %s", format, pipeline.Suggest(format, "formats", planFormats()))
	}
	doc, err := openDocument(document)
	if err != nil {
		return err
	}
	reg, err := a.kinds()
	if err != nil {
		return err
	}
	if err := doc.Inspect(ctx, reg, f.overrides); err != nil {
		return err
	}
	plan, _, err := a.plan(ctx, document, f)
	if err != nil {
		return err
	}
	return writePlan(a.stdout, plan, format)
}
