package cmd

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages"
)

func rootCommand() (*cobra.Command, *bytes.Buffer) {
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: os.Stderr, registry: stages.Registry}
	return a.newRootCommand(), &out
}

// words splits a line as a shell would, as far as examples need it: single quotes, and an end at a pipe, a redirection or a
// comment.
func words(line string) []string {
	var out []string
	word, has, quoted := "", false, false
	for _, r := range line + " " {
		switch {
		case r == '\'':
			quoted, has = !quoted, true
		case quoted || r != ' ':
			word, has = word+string(r), true
		case has:
			if word == ">" || word == "|" || word == "#" {
				return out
			}
			out, word, has = append(out, word), "", false
		}
	}
	return out
}

// Every command has an example, and every example is a command with flags that it has and arguments that it takes.
func TestEveryCommandHasAnExampleThatParses(t *testing.T) {
	root, _ := rootCommand()
	for _, c := range allCommands(root) {
		if c.Example == "" || c.Short == "" {
			t.Errorf("%s has no example, or no line that says what it does", c.CommandPath())
		}
		if strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: %q is no sentence, and should not end like one", c.CommandPath(), c.Short)
		}
		own := false
		for _, line := range strings.Split(c.Example, "\n") {
			line = strings.ReplaceAll(strings.TrimSpace(line), "source <(plateau completion bash)", "plateau completion bash")
			args := words(line)
			if len(args) == 0 || args[0] != "plateau" {
				t.Errorf("%s: the example %q does not begin with plateau", c.CommandPath(), line)
				continue
			}
			fresh, _ := rootCommand() // flags keep what they were given
			found, rest, err := fresh.Find(args[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err != nil {
				t.Errorf("%s: the example %q: %v", c.CommandPath(), line, err)
			}
			own = own || strings.HasPrefix(found.CommandPath(), c.CommandPath())
		}
		if !own {
			t.Errorf("%s: no example is of the command itself", c.CommandPath())
		}
	}
}

func TestReferenceIsCurrent(t *testing.T) {
	root, _ := rootCommand()
	want := reference(root)
	got, err := os.ReadFile("REFERENCE.md")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); d != "" {
		t.Errorf("commands have changed; write it anew: go run ./cmd/plateau reference > cmd/REFERENCE.md\n%s", d)
	}
}

func TestSettingsReferenceIsCurrent(t *testing.T) {
	reg, err := stages.Registry(func(context.Context) (*runtime.Runtime, error) { return nil, errors.New("not needed to describe") })
	if err != nil {
		t.Fatal(err)
	}
	want, err := settingsReference(reg)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("SETTINGS.md")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); d != "" {
		t.Errorf("settings have changed; write it anew: go run ./cmd/plateau reference --settings > cmd/SETTINGS.md\n%s", d)
	}
}

// completed returns what the shell offers for the last of the arguments, without descriptions.
func completed(t *testing.T, args ...string) []string {
	t.Helper()
	root, out := rootCommand()
	root.SetArgs(append([]string{cobra.ShellCompNoDescRequestCmd}, args...))
	root.SetErr(&bytes.Buffer{})
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[:len(lines)-1] // the last one tells the shell what to do
}

func TestShellsComplete(t *testing.T) {
	for want, args := range map[string][]string{
		"quickstart":                  {"run", ""},
		"images":                      {"configs", "show", ""},
		"neighborhood":                {"run", "quickstart", "--from", ""},
		"search.":                     {"run", "quickstart", "--set", ""},
		"seed=":                       {"plan", "quickstart", "--set", "s"},
		"search.epochs=":              {"validate", "quickstart", "--set", "search.e"},
		"search.neighborhood.":        {"run", "quickstart", "--set", "search.n"},
		"search.neighborhood.radius=": {"run", "quickstart", "--set", "search.neighborhood."},
		"train.schedule=cosine":       {"run", "quickstart", "--set", "train.schedule="},
		"data.shapes.noise=":          {"run", "quickstart", "--set", "data.shapes.n"},
		"mermaid":                     {"plan", "quickstart", "--format", ""},
		"cuda":                        {"run", "quickstart", "--provider", ""},
		"nhwc":                        {"evaluate", "m.onnx", "--layout", ""},
		"export":                      {"ex"},
	} {
		got := completed(t, args...)
		found := false
		for _, line := range got {
			found = found || line == want
		}
		if !found {
			t.Errorf("plateau %s: %q is not among %q", strings.Join(args, " "), want, got)
		}
	}
	for _, args := range [][]string{{"run", "nowhere", "--set", "s"}, {"run", "--set", "s"}, {"run", "quickstart", "--set", "nothing.e"}} {
		if got := completed(t, args...); len(got) != 0 {
			t.Errorf("plateau %s: %q", strings.Join(args, " "), got)
		}
	}
}
