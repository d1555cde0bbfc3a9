package runtime

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
)

// Version is the version of ONNX Runtime that this package is written for and fetches. Any patch release of the
// same minor version is accepted.
const Version = "1.27.0"

// LibraryVariable is the environment variable that commands read into Settings.Library; remedies name it.
const LibraryVariable = "PLATEAU_ONNXRUNTIME"

// CacheVariable is the environment variable that commands read into Settings.CacheDir.
const CacheVariable = "PLATEAU_CACHE_DIR"

// Settings says which ONNX Runtime to open and how. The zero value finds or fetches the library, uses CUDA where
// it works and the CPU otherwise, on all cores.
type Settings struct {
	// Library is the path of the ONNX Runtime shared library, or of the folder that holds it. Empty searches
	// the system's library folders and the cache, and fetches the library with npm when neither has it.
	Library string
	// Provider is auto, cpu, cuda, tensorrt or webgpu; empty means auto. Auto is CUDA where the library has it and
	// it works, otherwise the CPU; it never chooses WebGPU.
	Provider string
	// Threads is the number of threads that one operator may use. 0 means all cores this process may use.
	Threads int
	// CacheDir is the folder under which a fetched library is kept. Empty means the folder "plateau" in the
	// user's cache directory.
	CacheDir string
	// Optimization is how far graphs are rewritten when they are loaded: all, extended, basic or off; empty means all. All is
	// extended and, for models whose convolutions have constant weights, ONNX Runtime's blocked layout.
	Optimization string
	// Offline forbids fetching the library.
	Offline bool
	// Log is told in one line what takes time or was skipped. Nil discards.
	Log func(string)
	// Adapt returns the form of a model that suits the provider in use ("cpu", "cuda", ...). Every model goes through it
	// before it is loaded; inputs and outputs stay as they are. Nil loads models as they come.
	Adapt func(provider string, model []byte) ([]byte, error)
	// Prober tries a provider in a child process before this process relies on it; see ProbeMain. A nil Prober
	// makes WebGPU unavailable, since its failure can end the process.
	Prober Prober
}

// Opener opens a runtime that is shared by those who call it, when the first of them needs it.
type Opener func(ctx context.Context) (*Runtime, error)

// Optimizations lists the values of Settings.Optimization.
func Optimizations() []string { return []string{"all", "extended", "basic", "off"} }

// check fills in defaults and refuses values that no field allows.
func (s Settings) check() (Settings, error) {
	if s.Provider == "" {
		s.Provider = ProviderAuto
	}
	if !slices.Contains(Providers(), s.Provider) {
		return s, fmt.Errorf("open ONNX Runtime: unknown provider %q; use one of %s", s.Provider, strings.Join(Providers(), ", "))
	}
	if s.Optimization == "" {
		s.Optimization = "all"
	}
	if !slices.Contains(Optimizations(), s.Optimization) {
		return s, fmt.Errorf("open ONNX Runtime: unknown graph optimization %q; use one of %s", s.Optimization, strings.Join(Optimizations(), ", "))
	}
	if s.Threads < 0 {
		return s, fmt.Errorf("open ONNX Runtime: threads is %d; use 0 for all cores or a positive number", s.Threads)
	}
	if s.Threads == 0 {
		// GOMAXPROCS follows the affinity mask and the CPU quota of a container, which NumCPU does not.
		s.Threads = goruntime.GOMAXPROCS(0)
	}
	if s.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return s, &EnvironmentError{
				Problem: "find the user's cache directory",
				Remedy:  "set HOME (or XDG_CACHE_HOME), or name a cache folder",
				Err:     err,
			}
		}
		s.CacheDir = filepath.Join(dir, "plateau")
	}
	if s.Log == nil {
		s.Log = func(string) {}
	}
	return s, nil
}
