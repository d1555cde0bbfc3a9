//go:build !unix

package dataset

import "os"

// mapFile returns the content of a file, and a function that ends the mapping. Here it is read into memory as a whole.
func mapFile(path string) ([]byte, func() error, error) {
	b, err := os.ReadFile(path)
	return b, func() error { return nil }, err
}

// forgetMapped does nothing where files are read into memory.
func forgetMapped([]byte) {}
