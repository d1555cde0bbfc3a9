package cmd

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// withSignals returns a context that the first interrupt cancels, so that the running stage leaves a checkpoint. The second
// ends the process at once, which is safe at any moment.
func (a *app) withSignals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		select {
		case <-signals:
		case <-done:
			return
		}
		a.say("interrupted: stopping at the next checkpoint; interrupt again to stop at once")
		cancel(interruption{})
		select {
		case <-signals:
			a.mu.Lock()
			sink := a.sink
			a.mu.Unlock()
			if sink != nil {
				sink.Close() // leaves the terminal clean
			}
			os.Exit(exitInterrupted)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		<-finished
		cancel(nil)
	}
}
