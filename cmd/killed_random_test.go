package cmd

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
)

// killsVariable says how many kills TestKilledAtRandomMoments is to survive.
const killsVariable = "PLATEAU_TEST_KILLS"

// A run that is killed at any moment of any stage continues, computes no finished stage again, and ends with the bytes of an
// undisturbed run. PLATEAU_TEST_KILLS=50 kills at least fifty times, in every stage at least twice, each time at another
// moment, also while the engine puts results away.
func TestKilledAtRandomMoments(t *testing.T) {
	kills := 2
	if text := os.Getenv(killsVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", killsVariable, err)
		}
		kills = n
	} else if testing.Short() {
		t.Skip("not with -short")
	}
	runtimetest.Open(t) // the library is fetched here, if it must be, and not in a process that is killed
	w := newWalk(t)
	rng := rand.New(rand.NewPCG(1, uint64(kills)))
	done := 0
	for round := 0; done < kills || kills >= enough && w.hits[w.stages[w.leastHit()]] < 2; round++ {
		dir, store := filepath.Join(w.dir, fmt.Sprint("run-", round)), filepath.Join(w.dir, fmt.Sprint("store-", round))
		// Each round begins with the stage that was hit least: what comes before it is finished then.
		for _, stage := range w.stages[w.leastHit():] {
			if done == kills && kills < enough {
				break
			}
			share := 1.2 // some just after its end
			if w.hits[stage] < 2 {
				share = 0.5
			}
			moment := time.Duration(rng.Float64() * share * w.seconds[stage] * float64(time.Second))
			if w.killWithin(dir, store, stage, moment) {
				done++
			}
		}
		w.finish(dir, store)
	}
	t.Logf("%d kills, stages in which one hit: %v", done, w.hits)
}

// enough is from how many kills on every stage is hit at least twice, be it by more kills.
const enough = 50

// walk is an undisturbed run, and what to compare others with.
type walk struct {
	t       *testing.T
	dir     string
	doc     string
	stages  []string           // in the order in which they run
	seconds map[string]float64 // how long each took
	want    map[string][]byte  // every output
	hits    map[string]int     // kills by the stage that was running
}

func newWalk(t *testing.T) *walk {
	t.Helper()
	w := &walk{t: t, dir: t.TempDir(), seconds: map[string]float64{}, hits: map[string]int{}}
	w.doc = filepath.Join(w.dir, "tiny.yaml")
	if err := os.WriteFile(w.doc, []byte(tiny), 0o666); err != nil {
		t.Fatal(err)
	}
	calm := filepath.Join(w.dir, "calm")
	start(t, w.doc, calm, filepath.Join(w.dir, "calm-store"), os.Kill, "", 0)
	for _, e := range events(t, calm) {
		if e.Type == event.StageFinished {
			w.stages = append(w.stages, e.Stage)
			w.seconds[e.Stage] = e.Seconds
		}
	}
	w.want = w.outputs(calm)
	if len(w.stages) < 8 || len(w.want) < len(w.stages) {
		t.Fatalf("stages %v, %d outputs", w.stages, len(w.want))
	}
	return w
}

// leastHit returns the first of the stages that were hit least.
func (w *walk) leastHit() int {
	least := 0
	for i, stage := range w.stages {
		if w.hits[stage] < w.hits[w.stages[least]] {
			least = i
		}
	}
	return least
}

// outputs reads the outputs in a run directory. What depends on how fast the machine was is left out.
func (w *walk) outputs(dir string) map[string][]byte {
	w.t.Helper()
	out := map[string][]byte{}
	for _, stage := range w.stages {
		err := filepath.WalkDir(filepath.Join(dir, stage), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(dir, path)
			if err != nil || timed[filepath.ToSlash(name)] {
				return err
			}
			out[name], err = os.ReadFile(path)
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return out
}

// timed are the outputs that hold measured times, which no two runs share.
var timed = map[string]bool{"evaluate/metrics.json": true, "report/report.html": true}

// killWithin starts the run and kills it so long after the stage has started, or has been found finished. It returns false when
// the run ended before.
func (w *walk) killWithin(dir, store, stage string, moment time.Duration) bool {
	w.t.Helper()
	before := len(events(w.t, dir))
	cmd, out := w.command(dir, store)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			if err != nil {
				w.t.Fatalf("the run failed: %v\n%s", err, out)
			}
			return false
		case <-time.After(2 * time.Millisecond):
		}
		for _, e := range events(w.t, dir)[before:] {
			if (e.Type == event.StageStarted || e.Type == event.StageReused) && e.Stage == stage {
				select {
				case err := <-done:
					if err != nil {
						w.t.Fatalf("the run failed: %v\n%s", err, out)
					}
					return false
				case <-time.After(moment):
				}
				_ = cmd.Process.Kill()
				<-done
				if cmd.ProcessState.Exited() {
					return false
				}
				w.note(dir)
				return true
			}
		}
	}
}

// note counts the kill for the stage that was running.
func (w *walk) note(dir string) {
	running := ""
	for _, e := range events(w.t, dir) {
		switch e.Type {
		case event.StageStarted:
			running = e.Stage
		case event.StageFinished, event.StageReused, event.RunStarted:
			running = ""
		}
	}
	if running != "" {
		w.hits[running]++
	}
}

func (w *walk) command(dir, store string) (*exec.Cmd, *bytes.Buffer) {
	w.t.Helper()
	cmd := exec.Command(os.Args[0], "run", w.doc, "--run-dir", dir, "--store", store, "--threads", "1")
	cmd.Env = append(os.Environ(), asPlateau+"=1")
	out := new(bytes.Buffer)
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	return cmd, out
}

// finish lets the run end, and compares it with the undisturbed one.
func (w *walk) finish(dir, store string) {
	w.t.Helper()
	start(w.t, w.doc, dir, store, os.Kill, "", 0)
	for name, got := range w.outputs(dir) {
		if !bytes.Equal(got, w.want[name]) {
			w.t.Errorf("%s of the killed run differs from that of the undisturbed one", name)
		}
	}
	finished := map[string]bool{}
	for _, e := range events(w.t, dir) {
		switch {
		case e.Type == event.StageStarted && finished[e.Stage]:
			w.t.Errorf("stage %s had finished and was computed again: %s", e.Stage, e.Message)
		case e.Type == event.StageFinished:
			finished[e.Stage] = true
		}
	}
	if left, err := os.ReadDir(filepath.Join(store, "corrupt")); err != nil || len(left) > 0 {
		w.t.Errorf("damaged files: %v, %v", left, err)
	}
}
