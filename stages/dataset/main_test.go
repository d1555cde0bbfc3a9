package dataset

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sharedData returns a folder of real data, or skips the test where there is none.
func sharedData(t *testing.T, name string) string {
	t.Helper()
	if root := os.Getenv("PLATEAU_DATA"); root != "" {
		return filepath.Join(root, name)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		data := filepath.Join(dir, "..", "shared", "data", name)
		if _, err := os.Stat(data); err == nil {
			return data
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Skipf("no folder with %s; set PLATEAU_DATA to the folder that holds it", name)
		}
		dir = parent
	}
}
