package pipeline_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// greeting is a stage kind of one's own: its fields are the settings, Run does the work.
type greeting struct {
	Name string `yaml:"name" doc:"Who is greeted."`
}

func (g *greeting) Run(_ context.Context, job *pipeline.Job) error {
	job.Metric("letters", float64(len(g.Name)))
	return os.WriteFile(job.Output("text"), []byte("hello, "+g.Name+"\n"), 0o666)
}

// Example runs a document with a stage kind of its own, twice: the second run takes the stored result.
func Example() {
	registry, err := pipeline.NewRegistry(pipeline.Kind{
		Name:    "greeting",
		Version: 1,
		Outputs: []pipeline.Output{{Name: "text", Type: "text", File: "greeting.txt"}},
		New:     func() pipeline.Stage { return &greeting{Name: "world"} },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	st, err := store.Open(filepath.Join(dir, "store"))
	if err != nil {
		fmt.Println(err)
		return
	}
	doc, err := pipeline.Load("hello.yaml", []byte(strings.TrimSpace(`
stages:
  hello:
    kind: greeting
    settings: {name: plateau}
`)))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		plan, err := doc.Plan(context.Background(), registry, st, pipeline.PlanOptions{})
		if err != nil {
			fmt.Println(err)
			return
		}
		runner := pipeline.Runner{Store: st, Dir: filepath.Join(dir, "run")}
		result, err := runner.Run(context.Background(), plan)
		if err != nil {
			fmt.Println(err)
			return
		}
		text, err := os.ReadFile(result.Outputs()["hello.text"])
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %s", plan.Stages[0].Action, text)
	}
	// Output:
	// run: hello, plateau
	// reuse: hello, plateau
}
