package cmd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
)

// documentFlags are the flags of every command that takes a document.
type documentFlags struct {
	overrides []string
	force     bool
	only      []string
	from      []string
	until     []string
}

func (f *documentFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.overrides, "set", nil, "change the document: STAGE.SETTING=VALUE, VARIABLE=VALUE, seed=N, name=TEXT, or any place as stages.STAGE...=VALUE; may be repeated")
}

// addChoice adds the flags that say which stages a run is about.
func (f *documentFlags) addChoice(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.force, "force", false, "compute the stages again, from their beginning: all, or those chosen")
	cmd.Flags().StringSliceVar(&f.only, "only", nil, "choose these stages; what they read must have been computed before")
	cmd.Flags().StringSliceVar(&f.from, "from", nil, "choose these stages and all that read from them")
	cmd.Flags().StringSliceVar(&f.until, "until", nil, "choose these stages and all that they read from")
	for _, name := range []string{"only", "from", "until"} {
		// The flag is there, so this cannot fail.
		_ = cmd.RegisterFlagCompletionFunc(name, completeStage)
	}
}

func (f *documentFlags) options() pipeline.PlanOptions {
	return pipeline.PlanOptions{Overrides: f.overrides, Force: f.force, Only: f.only, From: f.from, Until: f.until}
}

type runFlags struct {
	documentFlags
	dir       string
	json      bool
	dryRun    bool
	quiet     bool
	keepGoing bool
	cores     int
	memory    string
	board     bool
}

func newRunCommand(a *app) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run DOCUMENT",
		Short: "Run a pipeline",
		Long: strings.TrimSpace(`
Runs the stages of a document, a file or one that is shipped (see plateau configs list), and leaves their
outputs in the run directory. What was finished before, with the same settings and inputs, is reused; what
was interrupted continues from its last checkpoint.

A stage takes the whole machine unless its resources in the document, or its kind, say that it needs less; stages
that fit together run side by side.

With --tensorboard, "tensorboard --logdir runs" shows the curves of each stage while it runs.`),
		Example: strings.Trim(`
  plateau run quickstart
  plateau run cifar10 --set data.path=cifar-10-binary.tar.gz --set search.epochs=30
  plateau run mine.yaml --run-dir runs/mine-2 --json
  plateau run mine.yaml --from search --force`, "\n"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeDocument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.dryRun {
				return a.printPlan(cmd.Context(), args[0], f.documentFlags, map[bool]string{false: "text", true: "json"}[f.json])
			}
			return a.run(cmd.Context(), args[0], f)
		},
	}
	f.add(cmd)
	f.addChoice(cmd)
	cmd.Flags().BoolVarP(&f.keepGoing, "keep-going", "k", false, "after a failure run what does not depend on it")
	cmd.Flags().IntVar(&f.cores, "cores", 0, "cores that stages side by side may take together, each --threads of them unless it says otherwise; 0 for all")
	cmd.Flags().StringVar(&f.memory, "memory", "", "memory that stages side by side may take together, such as 8GB (default all)")
	cmd.Flags().StringVar(&f.dir, "run-dir", "", "folder for the outputs (default runs/NAME)")
	cmd.Flags().BoolVar(&f.json, "json", false, "print the result as one JSON object on stdout")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would run and why, and run nothing")
	cmd.Flags().BoolVar(&f.board, "tensorboard", false, "also write event files for TensorBoard, into the folder tensorboard of the run directory")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "show warnings and errors only")
	return cmd
}

func (a *app) run(ctx context.Context, document string, f runFlags) error {
	result, err := a.runDocument(ctx, document, f)
	if err == nil && !f.quiet {
		printSummary(a.stderr, result)
	}
	if f.json {
		return errors.Join(err, printJSON(a.stdout, resultJSON(document, result, err)))
	}
	return err
}

func (a *app) runDocument(ctx context.Context, document string, f runFlags) (*pipeline.Result, error) {
	budget, err := f.budget()
	if err != nil {
		return nil, err
	}
	plan, st, err := a.plan(ctx, document, f.documentFlags)
	if err != nil {
		return nil, err
	}
	dir := f.dir
	if dir == "" {
		dir = filepath.Join("runs", plan.Name)
	}
	sink := a.newSink(f.quiet)
	a.setSink(sink)
	defer func() {
		a.setSink(nil)
		sink.Close()
	}()
	events := event.Sink(sink)
	if f.board {
		board := event.NewTensorBoard(filepath.Join(dir, "tensorboard"))
		defer func() {
			if err := board.Close(); err != nil {
				a.warn("the files for TensorBoard are not complete: %v", err)
			}
		}()
		events = event.Tee(sink, board)
	}
	r := &pipeline.Runner{
		Store: st, Dir: dir, Events: events, LogLevel: a.settings.LogLevel, Version: a.versionText(), KeepGoing: f.keepGoing, Resources: budget,
		StageCores: a.settings.Threads, // what computes on so many threads leaves the other cores to others
	}
	result, err := r.Run(ctx, plan)
	if result != nil {
		a.recordRun(ctx, st, result.Dir)
	}
	return result, err
}

// budget reads --cores and --memory.
func (f *runFlags) budget() (pipeline.Resources, error) {
	if f.cores < 0 {
		return pipeline.Resources{}, usagef("--cores must be 0 or a number of cores, found %d", f.cores)
	}
	out := pipeline.Resources{Cores: f.cores}
	if f.memory == "" {
		return out, nil
	}
	var err error
	if out.Memory, err = pipeline.ParseSize(f.memory); err != nil {
		return pipeline.Resources{}, usagef("--memory: %w", err)
	}
	return out, nil
}

// newSink returns what shows the run to people: live lines on a terminal, plain ones elsewhere.
func (a *app) newSink(quiet bool) humanSink {
	if quiet {
		return quietSink{event.NewLines(a.stderr, a.settings.LogLevel)}
	}
	fd := int(a.stderr.Fd())
	if !term.IsTerminal(fd) || os.Getenv("TERM") == "dumb" {
		return event.NewLines(a.stderr, a.settings.LogLevel)
	}
	_, noColor := os.LookupEnv("NO_COLOR")
	return event.NewTerminal(a.stderr, event.TerminalOptions{
		Width: func() int {
			w, _, err := term.GetSize(fd)
			if err != nil || w < 1 {
				return 80
			}
			return w
		},
		Color:   !noColor,
		Unicode: unicodeTerminal(),
		Level:   a.settings.LogLevel,
	})
}

// unicodeTerminal guesses from the locale. Without one, terminals of today read UTF-8.
func unicodeTerminal() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToUpper(v)
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return true
}

// quietSink lets only warnings and errors through.
type quietSink struct{ *event.Lines }

func (s quietSink) Emit(e event.Event) {
	if e.Type == event.StageLog && (e.Level == "warn" || e.Level == "error") {
		s.Lines.Emit(e)
	}
}
