package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1   // at run time
	exitUsage       = 2   // bad usage or document
	exitEnvironment = 3   // no library, no provider
	exitInterrupted = 130 // with a checkpoint left
)

// usageError is a mistake in how a command was called.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// interruption is the cause of a context that a signal has cancelled. Whoever returns the cause in place of the context's error
// has been cancelled as well.
type interruption struct{}

// Error implements error.
func (interruption) Error() string { return "interrupted" }

// Is tells errors.Is that this is a cancellation.
func (interruption) Is(target error) bool { return target == context.Canceled }

// report tells people what went wrong and returns the exit code.
func (a *app) report(ctx context.Context, err error) int {
	var usage *usageError
	if !a.started && !errors.As(err, &usage) {
		// What is left of cobra's own errors, such as flags that exclude each other.
		err = usagef("%w\nsee plateau --help", err)
	}
	code := exitCode(ctx, err)
	if code == exitInterrupted {
		fmt.Fprintln(a.stderr, "interrupted; the same command continues where this one stopped")
		return code
	}
	fmt.Fprintf(a.stderr, "error: %v\n", err)
	return code
}

func exitCode(ctx context.Context, err error) int {
	var (
		usage       *usageError
		diagnostics *pipeline.DiagnosticsError
		selection   *pipeline.SelectionError
		environment *runtime.EnvironmentError
	)
	switch {
	case err == nil:
		return exitDone
	case context.Cause(ctx) == interruption{} && errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &usage), errors.As(err, &diagnostics), errors.As(err, &selection):
		return exitUsage
	case errors.As(err, &environment):
		return exitEnvironment
	}
	return exitFailed
}
