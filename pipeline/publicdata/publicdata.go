// Package publicdata finds public data sets and tables for tests. Nothing else needs them: a test that does is skipped
// where they are not.
package publicdata

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"testing"
)

// Variable names the folder that holds the data: nasbench201, cifar10-12k, mnist and the like.
const Variable = "PLATEAU_DATA"

// Path returns the path of a file or folder of the data, or skips the test. Where Variable is not set, the data is looked
// for in a folder shared/data beside the repository.
func Path(t testing.TB, elements ...string) string {
	t.Helper()
	root := os.Getenv(Variable)
	if root == "" {
		root = beside(t)
	}
	path := filepath.Join(append([]string{root}, elements...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not there; %s names the folder of the data", path, Variable)
	}
	return path
}

// Rows reads a table of the data with a header: the cells of each row by the name of their column.
func Rows(t testing.TB, elements ...string) []map[string]string {
	t.Helper()
	path := Path(t, elements...)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil || len(all) == 0 {
		t.Fatalf("reading %s: %d rows, %v", path, len(all), err)
	}
	rows := make([]map[string]string, 0, len(all)-1)
	for _, cells := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = cells[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// beside returns the folder shared/data beside the repository that the test runs in.
func beside(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	return filepath.Join(filepath.Dir(dir), "shared", "data")
}
