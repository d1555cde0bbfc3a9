//go:build !windows

package runtime

// prepareLoad readies the process for loading the library at path and returns what undoes it. Loaders other than
// that of Windows find what a library depends on by the library's own records.
func prepareLoad(string) func() { return func() {} }
