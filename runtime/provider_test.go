package runtime_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

// open opens a runtime beside the shared one, with its library.
func open(t *testing.T, change func(*runtime.Settings)) (*runtime.Runtime, error) {
	t.Helper()
	settings := runtimetest.Settings()
	settings.Library = runtimetest.Open(t).Library()
	change(&settings)
	rt, err := runtime.Open(t.Context(), settings)
	if err == nil {
		t.Cleanup(func() {
			if err := rt.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return rt, err
}

func TestAutoIsTheCPUWhereTheLibraryHasNoCUDA(t *testing.T) {
	asked := 0
	rt, err := open(t, func(s *runtime.Settings) {
		s.Provider = runtime.ProviderAuto
		s.Prober = func(context.Context, string, string) error { asked++; return errors.New("no") }
	})
	if err != nil {
		t.Fatal(err)
	}
	if rt.Provider() != runtime.ProviderCPU || asked != 0 {
		t.Errorf("the provider is %s after %d probes, expected cpu after none", rt.Provider(), asked)
	}
	if rt.Threads() < 1 || rt.LibraryVersion() != runtime.Version || rt.LibrarySource() != runtime.FromSetting {
		t.Errorf("the runtime has %d threads, version %s from %s", rt.Threads(), rt.LibraryVersion(), rt.LibrarySource())
	}
}

func TestAbsentProviders(t *testing.T) {
	no := func(context.Context, string, string) error { return errors.New("no adapter") }
	webgpu := func(_ context.Context, _, provider string) error {
		if provider == runtime.ProviderWebGPU {
			return nil
		}
		return errors.New("broken")
	}
	for _, c := range []struct {
		provider string
		prober   runtime.Prober
		texts    []string
	}{
		{runtime.ProviderCUDA, nil, []string{"use the provider cuda", "there is no libonnxruntime_providers_cuda.so beside the library", "available here (cpu)", "CUDA build of ONNX Runtime 1.27.0"}},
		{runtime.ProviderCUDA, webgpu, []string{"available here (cpu, webgpu)"}},
		{runtime.ProviderTensorRT, no, []string{"use the provider tensorrt", "available here (cpu)", "with TensorRT"}},
		{runtime.ProviderWebGPU, nil, []string{"must be tried in a child process", "available here (cpu)"}},
		{runtime.ProviderWebGPU, no, []string{"use the provider webgpu", "no adapter", "available here (cpu)", "Vulkan"}},
	} {
		_, err := open(t, func(s *runtime.Settings) { s.Provider, s.Prober = c.provider, c.prober })
		e, ok := errors.AsType[*runtime.EnvironmentError](err)
		if !ok || e.Remedy == "" {
			t.Errorf("%s: got %v, expected an *EnvironmentError with a remedy", c.provider, err)
			continue
		}
		for _, text := range c.texts {
			if !strings.Contains(strings.ReplaceAll(err.Error(), "onnxruntime_providers_cuda.dll", "libonnxruntime_providers_cuda.so"), text) {
				t.Errorf("%s: the error does not say %q: %v", c.provider, text, err)
			}
		}
	}
}

// Whatever becomes of a provider that fails, this process goes on.
func TestProvidersAreTriedInAChildProcess(t *testing.T) {
	library := runtimetest.Open(t).Library()
	if err := prober(t.Context(), library, runtime.ProviderCPU); err != nil {
		t.Errorf("the CPU is not usable in a child process: %v", err)
	}
	if err := prober(t.Context(), library, "nothing"); err == nil || !strings.Contains(err.Error(), `unknown provider "nothing"`) {
		t.Errorf("got %v", err)
	}
	if err := prober(t.Context(), library+".missing", runtime.ProviderCPU); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("got %v", err)
	}
	// Where there is an adapter this succeeds, where there is none it is refused or ends the child; each is fine here.
	t.Logf("webgpu: %v", prober(t.Context(), library, runtime.ProviderWebGPU))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := prober(ctx, library, runtime.ProviderCPU); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v on a cancelled context", err)
	}
}

func TestOneLibraryAProcess(t *testing.T) {
	shared := runtimetest.Open(t)
	other := copyFile(t, shared.Library())
	_, err := open(t, func(s *runtime.Settings) { s.Library = other })
	e, ok := errors.AsType[*runtime.EnvironmentError](err)
	if !ok || !strings.Contains(e.Problem, "this process already uses the one in "+shared.Library()) {
		t.Errorf("got %v", err)
	}
}
