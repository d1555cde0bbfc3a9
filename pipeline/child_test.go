package pipeline_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/pipelinetest"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// Tests of what happens between processes start this test binary again as a child that runs one document.

const childVariable = "PLATEAU_TEST_CHILD"

// childReady is what a child prints when the run begins. How long it takes to get there depends on the machine.
const childReady = "ready"

// runChild runs a document when this process is such a child.
func runChild() bool {
	args := strings.Split(os.Getenv(childVariable), "\n")
	if len(args) != 3 {
		return false
	}
	if err := childMain(args[0], args[1], args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
	return true
}

func childMain(file, storeDir, runDir string) error {
	d, err := pipeline.LoadFile(file)
	if err != nil {
		return err
	}
	reg, err := pipelinetest.Registry()
	if err != nil {
		return err
	}
	st, err := store.Open(storeDir)
	if err != nil {
		return err
	}
	p, err := d.Plan(context.Background(), reg, st, pipeline.PlanOptions{})
	if err != nil {
		return err
	}
	r := &pipeline.Runner{Store: st, Dir: runDir, Events: event.Func(func(e event.Event) {
		if e.Type == event.StageProgress || e.Type == event.StageReused {
			fmt.Println(e.Type, e.Stage)
		}
	})}
	fmt.Println(childReady)
	_, err = r.Run(context.Background(), p)
	return err
}

// output keeps what a child prints, and closes ready when its run begins.
type output struct {
	text  strings.Builder
	ready chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	was := strings.Contains(o.text.String(), childReady)
	o.text.Write(p)
	if !was && strings.Contains(o.text.String(), childReady) {
		close(o.ready)
	}
	return len(p), nil
}

func (o *output) String() string { return o.text.String() }

// child starts a child on a document.
func (b *bench) child(doc, runDir string) (*exec.Cmd, *output) {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "toy.yaml")
	if err := os.WriteFile(file, []byte(doc), 0o666); err != nil {
		b.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVariable+"="+strings.Join([]string{file, b.store.Dir(), runDir}, "\n"))
	out := &output{ready: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	return cmd, out
}

const slowDocument = `
name: toy
stages:
  first: {kind: numbers, settings: {count: 4, pause: 5ms}, resources: {cores: 1}} # side by side with the second
  second: {kind: numbers, settings: {count: 6, pause: 5ms, scale: 2}, resources: {cores: 1}}
  add: {kind: sum, inputs: {numbers: second}}
`

// tree reads all outputs below a run directory: what must not depend on how often a run was killed.
func (b *bench) tree() map[string]string {
	b.t.Helper()
	out := map[string]string{}
	for _, id := range []string{"first", "second", "add"} {
		files, err := filepath.Glob(filepath.Join(b.dir, id, "*"))
		if err != nil {
			b.t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				b.t.Fatal(err)
			}
			out[id+"/"+filepath.Base(f)] = string(data)
		}
	}
	return out
}

// A run that is killed again and again, at other moments each time, makes its way to the same bytes, and never computes a
// finished stage or a finished step again.
func TestARunThatIsKilledContinuesToTheSameBytes(t *testing.T) {
	undisturbed := newBench(t)
	undisturbed.run(slowDocument)
	want := undisturbed.tree()

	b := newBench(t)
	kills := 0
	for delay := time.Millisecond; ; delay += delay/8 + time.Millisecond {
		cmd, out := b.child(slowDocument, b.dir)
		exited := make(chan error, 1)
		go func() { exited <- cmd.Wait() }()
		var err error
		select {
		case <-out.ready:
			select {
			case <-time.After(delay):
				_ = cmd.Process.Kill() // it may just have ended
				err = <-exited
			case err = <-exited:
			}
		case err = <-exited:
		}
		if err == nil {
			break
		}
		if cmd.ProcessState.Exited() {
			t.Fatalf("after %d kills: %v\n%s", kills, err, out)
		}
		if kills++; kills > 100 {
			t.Fatal("it never ends")
		}
	}
	if kills < 3 {
		t.Errorf("only %d kills", kills)
	}
	if diff := cmp.Diff(want, b.tree()); diff != "" {
		t.Errorf("after %d kills, -undisturbed +killed:\n%s", kills, diff)
	}
	for _, dir := range []string{"scratch", "corrupt"} {
		left, err := os.ReadDir(filepath.Join(b.store.Dir(), dir))
		if err != nil || len(left) > 0 {
			t.Errorf("%s: %v, %v", dir, left, err)
		}
	}
	// Each step leaves a checkpoint before it is reported, so no event tells of a step twice.
	steps := strings.Count(b.read("events.jsonl"), `"stage_progress"`)
	if steps > 10 {
		t.Errorf("%d steps were computed, 10 are needed", steps)
	}
}

func TestTwoProcessesShareTheWorkOfOneStore(t *testing.T) {
	b := newBench(t)
	one, outOne := b.child(slowDocument, b.dir)
	two, outTwo := b.child(slowDocument, b.dir+"-2")
	if err := one.Wait(); err != nil {
		t.Fatal(err, outOne)
	}
	if err := two.Wait(); err != nil {
		t.Fatal(err, outTwo)
	}
	steps := strings.Count(outOne.String()+outTwo.String(), string(event.StageProgress))
	if steps != 10 {
		t.Errorf("both together computed %d steps, 10 are needed:\n%s---\n%s", steps, outOne, outTwo)
	}
	want := b.tree()
	b.dir += "-2"
	if diff := cmp.Diff(want, b.tree()); diff != "" || len(want) != 3 {
		t.Errorf("-one +two:\n%s", diff)
	}
}

func TestASecondProcessOnARunDirectoryIsTurnedAway(t *testing.T) {
	b := newBench(t)
	started := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	p := b.plan("stages: {wait: {kind: fail, settings: {how: hang}}}", pipeline.PlanOptions{})
	go func() {
		_, err := (&pipeline.Runner{Store: b.store, Dir: b.dir, Events: event.Func(func(e event.Event) {
			if e.Type == event.StageProgress {
				started <- struct{}{}
			}
		})}).Run(ctx, p)
		done <- err
	}()
	<-started
	cmd, out := b.child(slowDocument, b.dir)
	if err := cmd.Wait(); err == nil || !strings.Contains(out.String(), fmt.Sprintf("in use by another plateau process (process %d)", os.Getpid())) {
		t.Errorf("the second process: %v\n%s", err, out)
	}
	cancel()
	<-done
}
