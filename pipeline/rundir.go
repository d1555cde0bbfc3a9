package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"github.com/plateau-nas/plateau/pipeline/internal/fsx"
	"github.com/plateau-nas/plateau/pipeline/internal/statcache"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// runDir is an open run directory. One process at a time has it.
//
//	STAGE/FILE      an output of a stage, copied from the store
//	run.json        the plan and what became of it
//	events.jsonl    every event of every run in this directory
//	logs/STAGE.log  what the stage logged
//	tensorboard/    event files for TensorBoard, a folder a stage, when they are asked for
//	.plateau/       the lock, the process that holds it, files being written, the digests of outputs not touched since
//	                they were read (stat.json), and the run.json of earlier runs by when they started (runs/TIME.json)
type runDir struct {
	path  string
	lock  *flock.Flock
	last  map[string]RunStage // what run.json says of the last run's stages
	known map[string]bool     // digests of the outputs that run.json lists

	stats  *statcache.Cache // of the outputs, by path
	copied fsx.Pending      // outputs that are not on the disk yet
}

// BusyError says that another process uses the run directory.
type BusyError struct {
	Dir string
	PID string // of the other process; may be empty
}

// Error implements error.
func (e *BusyError) Error() string {
	who := "another plateau process"
	if e.PID != "" {
		who += " (process " + e.PID + ")"
	}
	return fmt.Sprintf("the run directory %s is in use by %s; wait for it to end, or name another one with --run-dir", e.Dir, who)
}

func openRunDir(path string) (*runDir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the run directory %s: %w", path, err)
	}
	d := &runDir{path: abs}
	fail := func(err error) (*runDir, error) {
		return nil, fmt.Errorf("opening the run directory %s: %w; name another one with --run-dir", abs, err)
	}
	if err := os.MkdirAll(d.join(".plateau"), 0o777); err != nil {
		return fail(err)
	}
	d.lock = flock.New(d.join(".plateau", "lock"))
	ok, err := d.lock.TryLock()
	if err != nil {
		return fail(err)
	}
	if !ok {
		pid, _ := os.ReadFile(d.pidFile()) // only makes the message more helpful
		return nil, &BusyError{Dir: abs, PID: strings.TrimSpace(string(pid))}
	}
	if err := d.prepare(); err != nil {
		d.close()
		return fail(err)
	}
	d.readLast()
	d.stats = statcache.Load(d.join(".plateau", "stat.json"))
	return d, nil
}

// flush brings the outputs to the disk.
func (d *runDir) flush() error {
	return errors.Join(d.copied.Flush(), d.stats.Save(d.tmp(), d.join(".plateau", "stat.json"), nil))
}

// digest returns the digest of an output, without reading it when it has not been touched since it was last read.
func (d *runDir) digest(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	name, err := filepath.Rel(d.path, path)
	if err != nil {
		return "", err
	}
	state := statcache.StateOf(info)
	if known, ok := d.stats.Known(name, state); ok {
		return known, nil
	}
	got, _, err := store.Digest(path)
	if err == nil {
		d.stats.Set(name, state, got, false)
	}
	return got, err
}

// readLast reads what the last run put here. Another store may have been in use then, so the store alone cannot tell. When nothing
// can be read nothing is known; at worst a file is kept that could be replaced.
func (d *runDir) readLast() {
	d.last, d.known = map[string]RunStage{}, map[string]bool{}
	var file RunFile
	text, err := os.ReadFile(d.join("run.json"))
	if err != nil || json.Unmarshal(text, &file) != nil {
		return
	}
	for _, s := range file.Stages {
		d.last[s.ID] = s
		for _, o := range s.Outputs {
			d.known[o.Digest] = true
		}
	}
}

func (d *runDir) prepare() error {
	if err := os.WriteFile(d.pidFile(), fmt.Appendln(nil, os.Getpid()), 0o666); err != nil {
		return err
	}
	// Files that a killed process was writing.
	if err := os.RemoveAll(d.tmp()); err != nil {
		return err
	}
	for _, dir := range []string{d.tmp(), d.join("logs")} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	probe, err := os.CreateTemp(d.path, ".probe-*")
	if err != nil {
		return err
	}
	_ = probe.Close()
	return os.Remove(probe.Name())
}

func (d *runDir) close() {
	_ = os.RemoveAll(d.tmp()) // leftovers do no harm
	_ = d.lock.Close()
}

func (d *runDir) join(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// pidFile names the process that holds the lock. It is not the lock file itself: some systems let nobody read a locked one.
func (d *runDir) pidFile() string { return d.join(".plateau", "pid") }

func (d *runDir) tmp() string { return d.join(".plateau", "tmp") }

// place puts a stored output into the run directory. A file there with the same bytes is left alone. One with bytes that no
// stage is known to have written was changed by hand; it is kept under another name, which place returns.
func (d *runDir) place(st *store.Store, stage string, o store.Output) (kept string, err error) {
	dst := d.join(stage, o.File)
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("putting %s into the run directory: %w", filepath.Join(stage, o.File), err)
	}
	have, err := d.digest(dst)
	switch {
	case err == nil && have == o.Digest:
		return "", nil
	case err == nil && !st.Has(have) && !d.known[have]:
		kept, err = moveAway(dst)
		if err != nil {
			return fail(err)
		}
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(dst), 0o777); err != nil {
			return fail(err)
		}
	case err != nil:
		return fail(err)
	}
	if err := st.CopyTo(o.Digest, d.tmp(), dst); err != nil {
		return fail(err)
	}
	d.copied.Add(dst)
	if info, err := os.Stat(dst); err == nil {
		d.stats.Set(filepath.Join(stage, o.File), statcache.StateOf(info), o.Digest, true)
	}
	return kept, nil
}

// moveAway renames a file to the first free name of the form FILE.changed-N.
func moveAway(path string) (string, error) {
	for i := 1; ; i++ {
		to := fmt.Sprintf("%s.changed-%d", path, i)
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			return to, os.Rename(path, to)
		}
	}
}
