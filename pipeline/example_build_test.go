package pipeline_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/store"
)

// ExampleBuild builds a document in code, runs it and listens to its events.
func ExampleBuild() {
	if err := buildAndRun(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// run_started
	// stage_started hello
	// stage_metric hello letters = 7
	// stage_finished hello
	// run_finished
}

func buildAndRun() error {
	registry, err := pipeline.NewRegistry(pipeline.Kind{
		Name:    "greeting",
		Version: 1, // raise it when equal settings and inputs no longer give equal bytes
		Outputs: []pipeline.Output{{Name: "text", Type: "text", File: "greeting.txt"}},
		New:     func() pipeline.Stage { return &greeting{Name: "world"} },
	})
	if err != nil {
		return err
	}
	doc, err := pipeline.Build(pipeline.Spec{
		Name:   "hello",
		Stages: []pipeline.StageSpec{{ID: "hello", Kind: "greeting", Settings: &greeting{Name: "plateau"}}},
	})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	st, err := store.Open(filepath.Join(dir, "store"))
	if err != nil {
		return err
	}
	plan, err := doc.Plan(context.Background(), registry, st, pipeline.PlanOptions{})
	if err != nil {
		return err
	}
	runner := pipeline.Runner{Store: st, Dir: filepath.Join(dir, "run"), Events: event.Func(func(e event.Event) {
		switch e.Type {
		case event.RunStarted, event.RunFinished:
			fmt.Println(e.Type)
		case event.StageStarted, event.StageFinished:
			fmt.Println(e.Type, e.Stage)
		case event.StageMetric:
			for _, v := range e.Values {
				fmt.Println(e.Type, e.Stage, v.Name, "=", v.Value)
			}
		}
	})}
	_, err = runner.Run(context.Background(), plan)
	return err
}
