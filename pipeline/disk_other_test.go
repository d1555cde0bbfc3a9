//go:build !linux

package pipeline_test

import "testing"

func smallDisk(t *testing.T, _ string) string {
	t.Skip("a small disk can be mounted on Linux only")
	return ""
}

func enlarge(*testing.T, string, string) {}

func readOnly(t *testing.T, _ string) func() {
	t.Skip("a disk can be made read-only on Linux only")
	return nil
}
