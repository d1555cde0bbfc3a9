package cmd

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/plateau-nas/plateau/configs"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/pipelinetest"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages"
)

// asPlateau makes the test binary be the command, for tests that must kill it.
const asPlateau = "PLATEAU_TEST_AS_COMMAND"

// In scripts, "plateau" is the real command line, "own" and "clash" are programs with a stage kind more, and "toy" is the same with the small stage kinds of pipelinetest.
func TestMain(m *testing.M) {
	if os.Getenv(asPlateau) != "" {
		Main(Options{})
	}
	testscript.Main(m, map[string]func(){
		"plateau": func() { Main(Options{}) },
		"own":     func() { Main(Options{Version: "1.0", Kinds: ownKinds("greeting")}) },
		"clash":   func() { Main(Options{Kinds: ownKinds("train")}) },
		"toy": func() {
			os.Exit(execute(&app{
				args: os.Args[1:], stdout: os.Stdout, stderr: os.Stderr,
				registry: func(runtime.Opener) (*pipeline.Registry, error) { return pipelinetest.Registry() },
			}))
		},
	})
}

// greeting is a stage kind that a program brings.
type greeting struct {
	Name string `yaml:"name" doc:"Who is greeted."`
}

func (g *greeting) Run(_ context.Context, job *pipeline.Job) error {
	job.Metric("letters", float64(len(g.Name)))
	return nil
}

func ownKinds(name string) func(runtime.Opener) []pipeline.Kind {
	return func(runtime.Opener) []pipeline.Kind {
		return []pipeline.Kind{{
			Name: name, Version: 1, Doc: "Counts the letters of a name.",
			New: func() pipeline.Stage { return &greeting{Name: "world"} },
		}}
	}
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, ".home")
			e.Setenv("HOME", home)
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
			e.Setenv("PLATEAU_STORE", filepath.Join(e.WorkDir, "store"))
			return os.MkdirAll(home, 0o777)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "waitfor": waitFor},
	})
}

// A document that ships must be right for the kinds that ship with it.
func TestShippedDocumentsAreValid(t *testing.T) {
	reg, err := stages.Registry(func(context.Context) (*runtime.Runtime, error) { return nil, errors.New("not needed to check") })
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range configs.Names() {
		var overrides []string
		switch name { // most read images or tables that their user has to name
		case "quickstart", "pareto", "own-space":
		case "nasbench201-correlation":
			overrides = append(overrides, "table.path=table.csv", "truth.path=truth.csv")
		case "nasbench201-regret":
			overrides = append(overrides, "table.path=table.csv")
		case "darts-or-na-darts":
			overrides = append(overrides, "data.path=images", "truth.path=truth.csv", "table.path=table.csv")
		case "search-that-pays", "training-free":
			overrides = append(overrides, "data.path=images", "truth.path=truth.csv")
		default:
			overrides = append(overrides, "data.path=images")
		}
		doc, err := openDocument(name)
		if err == nil {
			err = doc.Check(t.Context(), reg, overrides)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// exits checks a command's exit code: "exits 2 toy validate x.yaml". The output of the command is matched by grepping the
// files exits.stdout and exits.stderr.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	ts.Check(os.WriteFile(ts.MkAbs("exits.stdout"), []byte(ts.ReadFile("stdout")), 0o666))
	ts.Check(os.WriteFile(ts.MkAbs("exits.stderr"), []byte(ts.ReadFile("stderr")), 0o666))
}

// waitFor waits until a file holds a text.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor FILE TEXT")
	}
	for range 6000 {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains(string(data), args[1]) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("%s never held %q", args[0], args[1])
}
