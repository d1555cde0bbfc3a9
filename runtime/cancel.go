package runtime

import (
	"context"

	ort "github.com/yalue/onnxruntime_go"
)

// terminator ends a run under way when its context is cancelled. It watches one context until another is given, so
// that running in a loop with one context registers it once.
type terminator struct {
	options *ort.RunOptions
	done    <-chan struct{} // of the context being watched
	stop    func() bool
	fired   chan struct{} // closed after the run options were told to terminate
}

func newTerminator() (*terminator, error) {
	options, err := ort.NewRunOptions()
	if err != nil {
		return nil, err
	}
	return &terminator{options: options}, nil
}

// watch has ctx end the runs that follow. It returns the context's cause when that is cancelled already.
func (t *terminator) watch(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if ctx.Done() == t.done {
		return nil
	}
	if err := t.release(); err != nil {
		return err
	}
	if t.done = ctx.Done(); t.done == nil {
		return nil
	}
	t.fired = make(chan struct{})
	fired := t.fired
	t.stop = context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = t.options.Terminate() // it fails only on destroyed options, and release comes before that
	})
	return nil
}

// release stops watching.
func (t *terminator) release() error {
	if t.stop == nil {
		return nil
	}
	stopped := t.stop()
	t.stop, t.done = nil, nil
	if stopped {
		return nil
	}
	<-t.fired
	return t.options.UnsetTerminate()
}

// destroy stops watching and frees the run options.
func (t *terminator) destroy() error {
	err := t.release()
	if derr := t.options.Destroy(); err == nil {
		err = derr
	}
	return err
}
