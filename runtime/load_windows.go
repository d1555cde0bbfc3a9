package runtime

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// prepareLoad has the loader look for what the library depends on in the library's own folder, which Windows
// searches only for the program's, and returns what undoes it.
func prepareLoad(path string) func() {
	if err := windows.SetDllDirectory(filepath.Dir(path)); err != nil {
		return func() {}
	}
	return func() { _ = windows.SetDllDirectory("") }
}
