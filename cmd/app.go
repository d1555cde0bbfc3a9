package cmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/store"
	"github.com/plateau-nas/plateau/runtime"
)

// app is what the commands share. What is for people goes to stderr; stdout is for what a command was asked to print.
type app struct {
	args     []string
	stdout   io.Writer
	stderr   *os.File
	stdin    io.Reader // nil for the process's own
	registry func(runtime.Opener) (*pipeline.Registry, error)
	prober   runtime.Prober
	version  string // of a release; empty for what the Go tool knows

	settings settings
	started  bool // a command's own code has begun, so errors are no longer about the command line

	runtime sharedRuntime

	mu   sync.Mutex
	sink humanSink // of the run in progress; nil otherwise
}

// humanSink shows events to people.
type humanSink interface {
	event.Sink
	Close()
}

// execute runs the command line and returns the exit code.
func execute(a *app) int {
	ctx, stop := a.withSignals(context.Background())
	defer stop()
	root := a.newRootCommand()
	root.SetArgs(a.args)
	err := root.ExecuteContext(ctx)
	if cerr := a.runtime.close(); err == nil {
		err = cerr
	}
	if err == nil {
		return exitDone
	}
	return a.report(ctx, err)
}

func (a *app) newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "plateau",
		Short: "Search for neural architectures whose neighborhood is good, too",
		Long: strings.TrimSpace(`
plateau searches for neural architectures that sit on a plateau instead of a peak: the score of an
architecture is an aggregate over its neighborhood. Graphs are built in Go, trained and evaluated by
ONNX Runtime, and every result is a standard ONNX model.`),
		Example:       "  plateau run quickstart\n  plateau run cifar10 --set data.path=cifar-10-binary.tar.gz",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) (err error) {
			a.settings, err = loadSettings(cmd.Flags())
			a.started = err == nil
			return err
		},
	}
	addSettingsFlags(root.PersistentFlags())
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	for _, add := range []func(*app) *cobra.Command{
		newRunCommand, newValidateCommand, newPlanCommand, newConfigsCommand, newSettingsCommand, newDescribeCommand, newNeighborsCommand, newEvaluateCommand, newPredictCommand, newServeCommand, newExportCommand, newBenchCommand,
		newRunsCommand, newWatchCommand, newSchemaCommand, newInitCommand, newDoctorCommand, newVersionCommand, newReferenceCommand,
	} {
		root.AddCommand(add(a))
	}
	addCompletionCommand(root)
	a.addCompletions(root)
	group(root)
	a.addUsageErrors(root)
	root.Version = a.versionText()
	root.Flags().Bool("version", false, "print the version of plateau, and of what it was built with")
	root.SetVersionTemplate(a.versionLine())
	return root
}

// group makes cmd a command that only has subcommands: without one it prints its help, with an unknown one it fails. (cobra
// alone would print the help and succeed.)
func group(cmd *cobra.Command, subcommands ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(subcommands...)
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return unknownCommand(cmd, args[0])
	}
	return cmd
}

// kinds returns the stage kinds.
func (a *app) kinds() (*pipeline.Registry, error) {
	reg, err := a.registry(a.openRuntime)
	if err != nil {
		return nil, fmt.Errorf("assembling the stage kinds: %w", err)
	}
	return reg, nil
}

// openStore opens the store of artifacts.
func (a *app) openStore() (*store.Store, error) {
	dir, err := a.settings.storeDir()
	if err != nil {
		return nil, err
	}
	return store.Open(dir)
}

// say tells people something that belongs to no stage.
func (a *app) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	a.mu.Lock()
	sink := a.sink
	a.mu.Unlock()
	if sink != nil {
		sink.Emit(event.Event{Type: event.StageLog, Stage: "plateau", Level: "info", Message: text})
		return
	}
	fmt.Fprintln(a.stderr, text)
}

func (a *app) setSink(s humanSink) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sink = s
}

// input is what a command reads that is told to read standard input.
func (a *app) input() io.Reader {
	if a.stdin != nil {
		return a.stdin
	}
	return os.Stdin
}
