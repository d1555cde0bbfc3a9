package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/command"
	"github.com/plateau-nas/plateau/stages/score/scoretest"
	"github.com/plateau-nas/plateau/stages/space"
)

// modes are what the test binary does when it is run as the command: its first argument is "-as-command", the second the mode,
// the third the path of a model, which here is the architecture's key in a file.
var modes = map[string]func(model string){
	"measure": func(model string) {
		text, err := os.ReadFile(model)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		sum := 0
		for i, c := range text {
			sum += (i + 1) * int(c)
		}
		if strings.HasPrefix(string(text), "0,0,0,0") {
			fmt.Fprintln(os.Stderr, "compiling\nunsupported operator")
			os.Exit(4)
		}
		fmt.Printf("{\"latency_ms\": %d.5, \"size\": %d, \"accuracy\": 0.25, \"device\": \"test\"}\n", sum, len(text))
	},
	"fail":     func(string) { fmt.Fprintln(os.Stderr, "no device\nconnect it"); os.Exit(7) },
	"garbage":  func(string) { fmt.Println("latency: 3 ms") },
	"nan":      func(string) { fmt.Println(`{"latency_ms": NaN}`) },
	"null":     func(string) { fmt.Println(`null`) },
	"text":     func(string) { fmt.Println(`{"latency_ms": "3"}`) },
	"huge":     func(string) { fmt.Println(`{"latency_ms": 1e999}`) },
	"missing":  func(string) { fmt.Println(`{"latency": 3}`) },
	"twice":    func(string) { fmt.Println(`{"latency_ms": 3}{"latency_ms": 4}`) },
	"silent":   func(string) {},
	"hang":     func(string) { time.Sleep(time.Minute) },
	"flood":    func(string) { flood() },
	"children": func(string) { child(); time.Sleep(time.Minute) },
	"orphan":   func(string) { child(); fmt.Println(`{"latency_ms": 3}`) },
	"beats":    func(string) { beat() },
	"second": func(string) { // fails the first time
		if f, err := os.OpenFile(os.Getenv("COMMAND_TEST_FILE"), os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			f.Close()
			os.Exit(1)
		}
		fmt.Println(`{"latency_ms": 3}`)
	},
}

// flood writes without end.
func flood() {
	line := strings.Repeat("x", 1000)
	for {
		if _, err := fmt.Println(line); err != nil {
			os.Exit(1)
		}
	}
}

// child starts a process that holds standard output open and beats until it is ended.
func child() {
	cmd := exec.Command(os.Args[0], "-as-command", "beats", "none")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		os.Exit(5)
	}
	for range 200 {
		if _, err := os.Stat(os.Getenv("COMMAND_TEST_FILE")); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func beat() {
	for i := range 3000 {
		if err := os.WriteFile(os.Getenv("COMMAND_TEST_FILE"), []byte(strconv.Itoa(i)), 0o600); err != nil {
			os.Exit(6)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "-as-command" {
		modes[os.Args[2]](os.Args[3])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// settings runs this test binary in a mode.
func settings(mode string) command.Settings {
	st := command.DefaultSettings()
	st.Command = []string{os.Args[0], "-as-command", mode, "{model}"}
	st.Score, st.Lower, st.Retries, st.Timeout = "latency_ms", true, 0, 20*time.Second
	return st
}

func evaluator(t *testing.T, st command.Settings, attempted func(command.Attempt) error) *command.Evaluator {
	t.Helper()
	e, err := command.New(st, command.Options{
		Space: space.NASBench201(), Folder: t.TempDir(), Attempted: attempted,
		Write: func(_ context.Context, a space.Architecture, path string) error {
			var ops []string
			for _, op := range a {
				ops = append(ops, strconv.Itoa(op))
			}
			return os.WriteFile(path, []byte(strings.Join(ops, ",")), 0o600)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func one(t *testing.T, e *command.Evaluator) score.Result {
	t.Helper()
	out, err := e.Evaluate(t.Context(), []space.Architecture{{1, 2, 3, 4, 0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

func TestConformance(t *testing.T) {
	scoretest.Run(t, scoretest.Suite{
		Space: space.NASBench201(), Architectures: 3, Failing: []space.Architecture{{0, 0, 0, 0, 1, 2}},
		New: func(t *testing.T) score.Evaluator {
			st := settings("measure")
			st.Metrics, st.Parallel = []string{"size", "accuracy"}, 2
			return evaluator(t, st, nil)
		},
	})
}

func TestAnswersBecomeResults(t *testing.T) {
	st := settings("measure")
	st.Metrics = []string{"size", "accuracy"}
	r := one(t, evaluator(t, st, nil))
	if !r.OK() || r.Score != -r.Metrics["latency_ms"] || r.Metrics["latency_ms"] < 1 || r.Metrics["size"] != 11 || r.Accuracy != 0.25 || len(r.Metrics) != 2 {
		t.Errorf("%+v", r)
	}
}

func TestFailuresAreToldApart(t *testing.T) {
	for mode, want := range map[string]string{
		"fail":    `exit status 7; its last words: "connect it"`,
		"garbage": `did not answer with one JSON object`,
		"nan":     `a number that is none (NaN or infinite)`,
		"null":    `did not answer with one JSON object`,
		"text":    `no number for "latency_ms" but "\"3\""`,
		"huge":    `1e999 for "latency_ms", which is beyond all numbers`,
		"missing": `no number "latency_ms"; did you mean latency?`,
		"twice":   `something follows the object`,
		"silent":  `answered with nothing`,
		"flood":   `more than 4096 bytes`,
	} {
		t.Run(mode, func(t *testing.T) {
			st := settings(mode)
			st.MaxOutput = 4096
			if r := one(t, evaluator(t, st, nil)); !strings.Contains(r.Failure, want) {
				t.Errorf("%q does not say %q", r.Failure, want)
			}
		})
	}
}

// What a command has started ends with it, also when it hangs, and also what holds its pipes open.
func TestTheWholeProcessGroupEnds(t *testing.T) {
	for mode, want := range map[string]string{"hang": "did not end within its timeout", "children": "did not end within its timeout", "orphan": ""} {
		t.Run(mode, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "beats")
			t.Setenv("COMMAND_TEST_FILE", file)
			st := settings(mode)
			if st.Timeout = time.Second; mode == "orphan" {
				st.Timeout = 20 * time.Second
			}
			began := time.Now()
			r := one(t, evaluator(t, st, nil))
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
			if !strings.Contains(r.Failure, want) || (want == "") != r.OK() {
				t.Errorf("%+v", r)
			}
			first, _ := os.ReadFile(file) // there is none for hang
			time.Sleep(300 * time.Millisecond)
			if last, _ := os.ReadFile(file); string(first) != string(last) {
				t.Errorf("a process that the command has started still runs: it counted from %s to %s", first, last)
			}
		})
	}
}

func TestRetriesAndLogs(t *testing.T) {
	t.Setenv("COMMAND_TEST_FILE", filepath.Join(t.TempDir(), "once"))
	st := settings("second")
	st.Retries = 2
	var attempts []command.Attempt
	r := one(t, evaluator(t, st, func(a command.Attempt) error { attempts = append(attempts, a); return nil }))
	if !r.OK() || len(attempts) != 2 || attempts[0].Exit != 1 || attempts[0].Failure == "" || attempts[1].Failure != "" || attempts[1].Attempt != 2 {
		t.Errorf("%+v after %+v", r, attempts)
	}
	if !strings.Contains(attempts[1].Stdout, `"latency_ms": 3`) || !filepath.IsAbs(attempts[1].Command[3]) {
		t.Errorf("%+v", attempts[1])
	}
	if _, err := os.Stat(attempts[1].Command[3]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the model is still there: %v", err)
	}
	if _, err := json.Marshal(attempts); err != nil {
		t.Error(err)
	}
}

// A command that only fails ends the search after a few candidates, whatever the order in which they end.
func TestACommandThatOnlyFailsIsGivenUp(t *testing.T) {
	st := settings("fail")
	st.GiveUp, st.Parallel = 3, 2
	archs := space.NASBench201().Neighbors(space.Architecture{1, 2, 3, 4, 0, 1}, 1)
	var mu sync.Mutex
	count := 0
	e := evaluator(t, st, func(command.Attempt) error { mu.Lock(); count++; mu.Unlock(); return nil })
	_, err := e.Evaluate(t.Context(), archs)
	if err == nil || !strings.Contains(err.Error(), "failed on each of the first 3 architectures") || !strings.Contains(err.Error(), "connect it") {
		t.Error(err)
	}
	if count > 6 {
		t.Errorf("%d attempts", count)
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	st := settings("measure")
	st.Command[0] = "plateau-has-no-such-program"
	_, err := command.New(st, command.Options{Space: space.NASBench201(), Folder: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), `the program "plateau-has-no-such-program" cannot be run`) {
		t.Error(err)
	}
}

func TestAnInterruptIsNoFailure(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := evaluator(t, settings("hang"), nil).Evaluate(ctx, []space.Architecture{{1, 2, 3, 4, 0, 1}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	ok := settings("measure")
	if err := ok.Validate("x"); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*command.Settings){
		"the command is empty":        func(s *command.Settings) { s.Command = nil },
		"no argument of":              func(s *command.Settings) { s.Command = s.Command[:3] },
		"the name of the number":      func(s *command.Settings) { s.Score = "" },
		`"latency_ms" is named twice`: func(s *command.Settings) { s.Metrics = []string{"size", "latency_ms"} },
		"is no name for a metric":     func(s *command.Settings) { s.Metrics = []string{""} },
		"unknown value":               func(s *command.Settings) { s.Weights = "inital" },
		"no time to run":              func(s *command.Settings) { s.Timeout = 0 },
		"from 0 to 100":               func(s *command.Settings) { s.Retries = -1 },
		"at least 1 run":              func(s *command.Settings) { s.Parallel = 0 },
		"hold no answer":              func(s *command.Settings) { s.MaxOutput = 0 },
		"candidates of at least 1":    func(s *command.Settings) { s.GiveUp = 0 },
		"and not the word score":      func(s *command.Settings) { s.Score = "score" },
	} {
		st := ok
		st.Command = slices.Clone(ok.Command)
		change(&st)
		if err := st.Validate("exec"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
