package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/plateau-nas/plateau/runtime/internal/tinymodel"
)

// The values of Settings.Provider.
const (
	ProviderAuto     = "auto"
	ProviderCPU      = "cpu"
	ProviderCUDA     = "cuda"
	ProviderTensorRT = "tensorrt"
	ProviderWebGPU   = "webgpu"
)

// Providers lists the values of Settings.Provider.
func Providers() []string {
	return []string{ProviderAuto, ProviderCPU, ProviderCUDA, ProviderTensorRT, ProviderWebGPU}
}

// chooseProvider returns the provider to use, after trying it where that can fail.
func chooseProvider(ctx context.Context, s Settings, lib located) (string, error) {
	switch s.Provider {
	case ProviderCPU:
		return ProviderCPU, nil
	case ProviderAuto:
		if !hasProviderLibrary(lib.Path, ProviderCUDA) {
			return ProviderCPU, nil
		}
		err := tryProvider(ctx, s.Prober, lib.Path, ProviderCUDA)
		if err == nil {
			return ProviderCUDA, nil
		}
		if ctx.Err() != nil {
			return "", fmt.Errorf("choose a provider: %w", context.Cause(ctx))
		}
		s.Log(fmt.Sprintf("the library has CUDA but it is not usable, so the CPU is used: %v", err))
		return ProviderCPU, nil
	}
	err := tryProvider(ctx, s.Prober, lib.Path, s.Provider)
	if err == nil {
		return s.Provider, nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("choose a provider: %w", context.Cause(ctx))
	}
	available := []string{ProviderCPU}
	for _, other := range []string{ProviderCUDA, ProviderTensorRT, ProviderWebGPU} {
		if other != s.Provider && tryProvider(ctx, s.Prober, lib.Path, other) == nil {
			available = append(available, other)
		}
	}
	return "", &EnvironmentError{
		Problem: fmt.Sprintf("use the provider %s with %s (ONNX Runtime %s)", s.Provider, lib.Path, lib.Version),
		Remedy:  fmt.Sprintf("choose one that is available here (%s), or %s", strings.Join(available, ", "), providerRemedy(s.Provider)),
		Err:     err,
	}
}

func providerRemedy(provider string) string {
	switch provider {
	case ProviderCUDA:
		return fmt.Sprintf("install a CUDA build of ONNX Runtime %s with the CUDA and cuDNN versions it was made for and set %s to its library", Version, LibraryVariable)
	case ProviderTensorRT:
		return fmt.Sprintf("install a CUDA build of ONNX Runtime %s with TensorRT and set %s to its library", Version, LibraryVariable)
	default:
		return "install a graphics driver with Vulkan (Direct3D 12 on Windows, Metal on macOS)"
	}
}

// hasProviderLibrary reports whether a build has the provider: CUDA and TensorRT are files beside the library.
func hasProviderLibrary(library, provider string) bool {
	if real, err := filepath.EvalSymlinks(library); err == nil {
		library = real
	}
	_, err := os.Stat(filepath.Join(filepath.Dir(library), thisPlatform().providerLibrary(provider)))
	return err == nil
}

// tryProvider reports why a provider cannot be used, nil when it can.
func tryProvider(ctx context.Context, prober Prober, library, provider string) error {
	if (provider == ProviderCUDA || provider == ProviderTensorRT) && !hasProviderLibrary(library, provider) {
		return fmt.Errorf("this build has no such provider (there is no %s beside the library)", thisPlatform().providerLibrary(provider))
	}
	if prober != nil {
		return prober(ctx, library, provider)
	}
	if provider == ProviderWebGPU {
		return errors.New("it must be tried in a child process first, which this program does not offer")
	}
	err := useProvider(provider)
	if err != nil {
		process.keepLoaded()
	}
	return plain(err)
}

// useProvider runs a small model on a provider in this process and checks the result. The environment is initialized.
func useProvider(provider string) error {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return err
	}
	defer options.Destroy()
	if err := options.SetLogSeverityLevel(ort.LoggingLevelFatal); err != nil {
		return err
	}
	if err := appendProvider(options, provider); err != nil {
		return err
	}
	model := tinymodel.Model{
		Inputs:  []tinymodel.Value{{Name: "x", Type: tinymodel.Float32, Dims: []int64{2, 2}}},
		Outputs: []tinymodel.Value{{Name: "y", Type: tinymodel.Float32, Dims: []int64{2, 2}}},
		Nodes:   []tinymodel.Node{{Op: "MatMul", Inputs: []string{"x", "x"}, Outputs: []string{"y"}}},
	}.Bytes()
	session, err := ort.NewDynamicAdvancedSessionWithONNXData(model, []string{"x"}, []string{"y"}, options)
	if err != nil {
		return err
	}
	defer session.Destroy()
	x, err := ort.NewTensor(ort.NewShape(2, 2), []float32{1, 2, 3, 4})
	if err != nil {
		return err
	}
	defer x.Destroy()
	y, err := ort.NewEmptyTensor[float32](ort.NewShape(2, 2))
	if err != nil {
		return err
	}
	defer y.Destroy()
	if err := session.Run([]ort.Value{x}, []ort.Value{y}); err != nil {
		return err
	}
	// Small whole numbers are exact in every reduced precision that a provider may use.
	for i, want := range []float32{7, 10, 15, 22} {
		if got := y.GetData()[i]; got != want {
			return fmt.Errorf("it computes a matrix product wrongly: element %d is %g, expected %g", i, got, want)
		}
	}
	return nil
}

// appendProvider has a session use a provider, with the CPU for the operators that it lacks.
func appendProvider(options *ort.SessionOptions, provider string) error {
	switch provider {
	case ProviderCPU:
		return nil
	case ProviderCUDA:
		cuda, err := ort.NewCUDAProviderOptions()
		if err != nil {
			return err
		}
		defer cuda.Destroy()
		// Choosing convolution algorithms by timing them, and TF32, would make results vary from run to run and
		// from those of the CPU.
		if err := cuda.Update(map[string]string{"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}); err != nil {
			return err
		}
		return options.AppendExecutionProviderCUDA(cuda)
	case ProviderTensorRT:
		tensorrt, err := ort.NewTensorRTProviderOptions()
		if err != nil {
			return err
		}
		defer tensorrt.Destroy()
		if err := options.AppendExecutionProviderTensorRT(tensorrt); err != nil {
			return err
		}
		// What TensorRT cannot take should stay on the GPU.
		return appendProvider(options, ProviderCUDA)
	case ProviderWebGPU:
		return options.AppendExecutionProvider("WebGPU", nil)
	}
	return fmt.Errorf("unknown provider %q", provider)
}
