package pipeline_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// What disks, people and other processes do to the files of a run.

const faultsDocument = `
name: toy
stages:
  data: {kind: numbers}
  add: {kind: sum}
  page: {kind: report}
  blob: {kind: blob, settings: {bytes: 100000}} # large enough to be remembered as right
`

// reopen opens the bench's store as another process would.
func (b *bench) reopen() error {
	st, err := store.Open(b.store.Dir())
	if err == nil {
		b.store = st
	}
	return err
}

// attempt runs the document as another process would.
func (b *bench) attempt(doc string) (*pipeline.Result, error) {
	b.t.Helper()
	if err := b.reopen(); err != nil {
		return nil, err
	}
	d, err := pipeline.Load("toy.yaml", []byte(doc))
	if err != nil {
		b.t.Fatal(err)
	}
	p, err := d.Plan(b.t.Context(), b.registry(), b.store, pipeline.PlanOptions{})
	if err != nil {
		return nil, err
	}
	b.saw.events = nil
	return (&pipeline.Runner{Store: b.store, Dir: b.dir, Events: b.saw}).Run(b.t.Context(), p)
}

// outputs reads every output of a run.
func (b *bench) outputs(r *pipeline.Result) map[string]string {
	b.t.Helper()
	out := map[string]string{}
	for name, path := range r.Outputs() {
		data, err := os.ReadFile(path)
		if err != nil {
			b.t.Fatal(err)
		}
		out[name] = string(data)
	}
	return out
}

// filesBelow lists the files below a folder that hold something.
func filesBelow(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 0 {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Whatever file is damaged, and however: nothing wrong is used, nothing that a person wrote is lost, and the next run ends with the
// bytes of an undisturbed one. The times of the file are put back, as a failing disk would leave them.
func TestNoDamagedFileIsEverUsed(t *testing.T) {
	b := newBench(t)
	res, err := b.attempt(faultsDocument)
	if err != nil {
		t.Fatal(err)
	}
	want := b.outputs(res)
	stored, left := filesBelow(t, b.store.Dir()), filesBelow(t, b.dir)
	if len(stored) < 4+4+3 || len(left) < 4+3 {
		t.Fatalf("files: %q, %q", stored, left)
	}
	for name, change := range map[string]func([]byte) []byte{
		"a flipped byte": func(b []byte) []byte { b[len(b)/2] ^= 0x20; return b },
		"half of it":     func(b []byte) []byte { return b[:len(b)/2] },
		"nothing":        func([]byte) []byte { return nil },
	} {
		for _, path := range append(stored, left...) {
			short := strings.TrimPrefix(strings.TrimPrefix(path, b.store.Dir()), b.dir)
			was, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			_ = os.Chmod(path, 0o644)
			if err := os.WriteFile(path, change([]byte(string(was))), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
			res, err := b.attempt(faultsDocument)
			if filepath.Base(path) == "format" {
				if err == nil || !strings.Contains(err.Error(), b.store.Dir()) || !strings.Contains(err.Error(), "format") {
					t.Errorf("%s of %s: error %v", name, short, err)
				}
				if err := os.WriteFile(path, was, 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s of %s: %v", name, short, err)
				continue
			}
			if diff := cmp.Diff(want, b.outputs(res)); diff != "" {
				t.Fatalf("%s of %s, -want +got:\n%s", name, short, diff)
			}
			if strings.HasPrefix(short, "/objects") && len(b.saw.messages(event.StageLog)) == 0 {
				t.Errorf("%s of %s: nobody was told", name, short)
			}
		}
	}
	aside, err := os.ReadDir(filepath.Join(b.store.Dir(), "corrupt"))
	if err != nil || len(aside) < 3*8 { // objects and records
		t.Errorf("%d files were set aside, %v", len(aside), err)
	}
	if changed, _ := filepath.Glob(filepath.Join(b.dir, "page", "*.changed-*")); len(changed) < 2 {
		t.Errorf("changed outputs were not kept: %q", changed)
	}
}

// An object that is damaged between two stages of one run is not read by the second.
func TestAnInputThatIsDamagedMeanwhileIsNotRead(t *testing.T) {
	b := newBench(t)
	r := b.runner(event.Func(func(e event.Event) {
		if e.Type == event.StageFinished && e.Stage == "data" {
			for _, object := range filesBelow(t, filepath.Join(b.store.Dir(), "objects")) {
				_ = os.Chmod(object, 0o644)
				if err := os.WriteFile(object, []byte("7\n"), 0o644); err != nil {
					t.Error(err)
				}
			}
		}
	}))
	_, err := r.Run(t.Context(), b.plan(sumDocument, pipeline.PlanOptions{}))
	if err == nil || !strings.Contains(err.Error(), "reading input numbers") || !strings.Contains(err.Error(), "run again") {
		t.Errorf("error: %v", err)
	}
	if res, err := b.attempt(sumDocument); err != nil || cached(res) != "" {
		t.Errorf("the next run: %v", err)
	}
}

// A disk that is full stops the run with a clear message; with room again it continues, and nothing was lost.
func TestAFullDiskStopsARunThatContinuesLater(t *testing.T) {
	for _, full := range []string{"store", "run directory"} {
		t.Run(full, func(t *testing.T) {
			b := newBench(t)
			disk := smallDisk(t, "300k")
			if full == "store" {
				st, err := store.Open(filepath.Join(disk, "store"))
				if err != nil {
					t.Fatal(err)
				}
				b.store = st
			} else {
				b.dir = filepath.Join(disk, "run")
			}
			const doc = "name: toy\nstages:\n  data: {kind: numbers}\n  one: {kind: blob, settings: {bytes: 100000}}\n  two: {kind: blob, settings: {bytes: 600000}}\n  add: {kind: sum}\n"
			res, err := b.attempt(doc)
			var se *pipeline.StageError
			if !errors.As(err, &se) || se.Stage != "two" || !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), "make room on the disk and run again") {
				t.Fatalf("error: %v", err)
			}
			if got := statuses(res); got != "data done, one done, two failed, add not_run" {
				t.Errorf("statuses: %s", got)
			}
			enlarge(t, disk, "8m")
			res, err = b.attempt(doc)
			if err != nil || !strings.HasPrefix(cached(res), "data one") {
				t.Fatalf("with room again: %v, reused %q", err, cached(res))
			}
			calm := newBench(t)
			undisturbed, err := calm.attempt(doc)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(calm.outputs(undisturbed), b.outputs(res)); diff != "" {
				t.Errorf("-undisturbed +full:\n%s", diff)
			}
		})
	}
}

// Without permission to write nothing runs, the message says where, and what is there stays.
func TestWithoutWritePermissionNothingIsLost(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions of folders do not bind there")
	}
	for _, what := range []string{"store", "run directory"} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t)
			disk := t.TempDir()
			if os.Getuid() == 0 { // permissions do not bind root, but a disk that is mounted to be read only does
				disk = smallDisk(t, "4m")
			}
			if what == "store" {
				st, err := store.Open(filepath.Join(disk, "store"))
				if err != nil {
					t.Fatal(err)
				}
				b.store = st
			} else {
				b.dir = filepath.Join(disk, "run")
			}
			res, err := b.attempt(faultsDocument)
			if err != nil {
				t.Fatal(err)
			}
			want := b.outputs(res)
			allow := deny(t, disk)
			_, err = b.attempt(faultsDocument)
			place := map[string]string{"store": "--store", "run directory": "--run-dir"}[what]
			if err == nil || !strings.Contains(err.Error(), disk) || !strings.Contains(err.Error(), place) {
				t.Errorf("error: %v", err)
			}
			if diff := cmp.Diff(want, b.outputs(res)); diff != "" {
				t.Errorf("-before +after:\n%s", diff)
			}
			allow()
			if res, err = b.attempt(faultsDocument); err != nil || cached(res) != "data add page blob" {
				t.Errorf("with permission again: %v, reused %q", err, cached(res))
			}
		})
	}
}

// deny takes away the permission to write below a folder until allow is called.
func deny(t *testing.T, dir string) (allow func()) {
	t.Helper()
	if os.Getuid() == 0 {
		return readOnly(t, dir)
	}
	modes := map[string]fs.FileMode{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				modes[path] = info.Mode().Perm()
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range modes {
		if err := os.Chmod(path, 0o555); err != nil {
			t.Fatal(err)
		}
	}
	allow = func() {
		for path, mode := range modes {
			if err := os.Chmod(path, mode); err != nil {
				t.Error(fmt.Errorf("giving the permission back: %w", err))
			}
		}
	}
	t.Cleanup(allow)
	return allow
}
