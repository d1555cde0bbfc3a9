package cmd

import (
	"context"
	"fmt"
	"sync"

	"github.com/plateau-nas/plateau/exporter/kernels"
	"github.com/plateau-nas/plateau/runtime"
)

// sharedRuntime opens ONNX Runtime when the first stage asks for it, and is closed when the program ends.
type sharedRuntime struct {
	mu   sync.Mutex
	open *runtime.Runtime
}

func (s *sharedRuntime) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		return nil
	}
	err := s.open.Close()
	s.open = nil
	if err != nil {
		return fmt.Errorf("closing ONNX Runtime: %w", err)
	}
	return nil
}

// openRuntime is the runtime.Opener that stages get. A failure is not kept: the next stage tries again.
func (a *app) openRuntime(ctx context.Context) (*runtime.Runtime, error) {
	a.runtime.mu.Lock()
	defer a.runtime.mu.Unlock()
	if a.runtime.open != nil {
		return a.runtime.open, nil
	}
	rt, err := runtime.Open(ctx, a.runtimeSettings())
	if err != nil {
		return nil, err
	}
	a.runtime.open = rt
	return rt, nil
}

func (a *app) runtimeSettings() runtime.Settings {
	return runtime.Settings{
		Library:  a.settings.Library,
		Provider: a.settings.Provider,
		Threads:  a.settings.Threads,
		CacheDir: a.settings.CacheDir,
		Adapt:    kernels.Adapt,
		Prober:   a.prober,
		Log:      func(line string) { a.say("%s", line) },
	}
}
