package runtime

import (
	"fmt"
	"path/filepath"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// environment counts the users of the process's one ONNX Runtime. The binding keeps the loaded library, its
// function table and the OrtEnv in variables of its own, so a process has one of them whatever we do; this guard
// lets several Runtimes share it, loads it for the first and unloads it after the last.
type environment struct {
	mu      sync.Mutex
	users   int
	path    string
	version string
	// keep leaves the library loaded after the last user. It is set once a provider has failed in this process:
	// destroying the environment after WebGPU found no adapter crashes.
	keep bool
}

// process is the guard of this process.
var process environment

// acquire loads the library, or counts one more user when the same one is loaded.
func (e *environment) acquire(lib located) (version string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	path := lib.Path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if ort.IsInitialized() {
		if path != e.path {
			return "", &EnvironmentError{
				Problem: fmt.Sprintf("load ONNX Runtime from %s: this process already uses the one in %s", path, e.path),
				Remedy:  "use one library in a process",
			}
		}
		e.users++
		return e.version, nil
	}
	version, err = load(path)
	if err != nil {
		return "", &EnvironmentError{
			Problem: fmt.Sprintf("load ONNX Runtime from %s", path),
			Remedy:  fmt.Sprintf("see that the file is ONNX Runtime %s for %s and that what it depends on is installed, or set %s to another one", Version, thisPlatform(), LibraryVariable),
			Err:     err,
		}
	}
	e.users, e.path, e.version = 1, path, version
	return version, nil
}

// load initializes the binding with the library at path and leaves nothing loaded when that fails.
func load(path string) (string, error) {
	restore := prepareLoad(path)
	defer restore()
	ort.SetSharedLibraryPath(path)
	// Errors come back as values; what the library would print besides would only spoil a progress display.
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return "", plain(err)
	}
	version := ort.GetVersion()
	if !sameMinor(version, Version) {
		_ = ort.DestroyEnvironment() // the version is the error to report
		return "", fmt.Errorf("it is version %s, %s is needed", version, Version)
	}
	if err := ort.DisableTelemetry(); err != nil {
		_ = ort.DestroyEnvironment()
		return "", fmt.Errorf("disable its telemetry: %w", err)
	}
	return version, nil
}

// release gives up one use and unloads the library after the last.
func (e *environment) release() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.users--
	if e.users > 0 || e.keep {
		return nil
	}
	if err := ort.DestroyEnvironment(); err != nil {
		return fmt.Errorf("unload ONNX Runtime: %w", err)
	}
	return nil
}

// keepLoaded has the library stay loaded until the process ends.
func (e *environment) keepLoaded() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keep = true
}
