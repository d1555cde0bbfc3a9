package cmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/store"
)

func newRunsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "runs",
		Short:   "List, show and compare runs, and look after what they have left",
		Example: "  plateau runs list\n  plateau runs compare runs/quickstart runs/quickstart-2\n  plateau runs gc --dry-run",
	}
	return group(cmd, newRunsListCommand(a), newRunsShowCommand(a), newRunsCompareCommand(a), newRunsGCCommand(a))
}

type gcFlags struct {
	maxSize string
	age     time.Duration
	dryRun  bool
	json    bool
}

func newRunsGCCommand(a *app) *cobra.Command {
	var f gcFlags
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove results from the store that no run directory names",
		Long: strings.TrimSpace(`
Removes results and checkpoints from the store that no run directory names any more: those of runs whose
directory was removed, and those of earlier settings. What a run directory names always stays, and so does
everything while a run is using the store.`),
		Example: "  plateau runs gc --dry-run\n  plateau runs gc --max-size 20GB --older-than 168h",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.collect(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.maxSize, "max-size", "", "remove the oldest only, until the store has this size, such as 20GB")
	cmd.Flags().DurationVar(&f.age, "older-than", 0, "keep what is younger, such as 168h")
	cmd.Flags().BoolVarP(&f.dryRun, "dry-run", "n", false, "say what would be removed, and remove nothing")
	cmd.Flags().BoolVar(&f.json, "json", false, "print the counts as one JSON object on stdout")
	return cmd
}

// jsonCollected is what runs gc --json prints.
type jsonCollected struct {
	Store       string `json:"store"`
	DryRun      bool   `json:"dry_run"`
	BytesBefore int64  `json:"bytes_before"`
	BytesAfter  int64  `json:"bytes_after"`
	Named       int    `json:"named"`       // results that run directories name
	Results     int    `json:"results"`     // removed, as all that follows
	Artifacts   int    `json:"artifacts"`   // files of results
	Checkpoints int    `json:"checkpoints"` // of unfinished stages
	Damaged     int    `json:"damaged"`     // files that had been set aside
}

func (a *app) collect(ctx context.Context, f gcFlags) error {
	o := store.CollectOptions{Age: f.age, DryRun: f.dryRun}
	if f.age < 0 {
		return usagef("--older-than must not be negative, found %v", f.age)
	}
	if f.maxSize != "" {
		var err error
		if o.MaxBytes, err = pipeline.ParseSize(f.maxSize); err != nil {
			return usagef("--max-size: %w", err)
		}
		o.MaxBytes = max(o.MaxBytes, 1) // 0 bytes is a limit here, and none for the store
	}
	st, err := a.openStore()
	if err != nil {
		return err
	}
	c, err := st.Collect(ctx, o)
	if err != nil {
		return err
	}
	if f.json {
		return printJSON(a.stdout, jsonCollected{st.Dir(), f.dryRun, c.Before, c.After, c.Named, c.Records, c.Objects, c.Scratch, c.Corrupt})
	}
	verb := "removed"
	if f.dryRun {
		verb = "would remove"
	}
	text := fmt.Sprintf("%s %d results (%d files), %d checkpoints and %d damaged files; %s of %s are left\n%d results are named by run directories and stay\n",
		verb, c.Records, c.Objects, c.Scratch, c.Corrupt, formatBytes(c.After), formatBytes(c.Before), c.Named)
	if o.MaxBytes > 0 && c.After > o.MaxBytes {
		text += fmt.Sprintf("that is more than %s: remove run directories that are not needed, and run this again\n", f.maxSize)
	}
	return writeAll(a.stdout, text)
}
