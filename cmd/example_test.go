package cmd_test

import (
	"context"

	"github.com/plateau-nas/plateau/cmd"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/runtime"
)

// greeting is a stage kind of one's own.
type greeting struct {
	Name string `yaml:"name" doc:"Who is greeted."`
}

func (g *greeting) Run(_ context.Context, job *pipeline.Job) error {
	job.Metric("letters", float64(len(g.Name)))
	return nil
}

// greetings are the stage kinds that a program brings.
func greetings(runtime.Opener) []pipeline.Kind {
	return []pipeline.Kind{{
		Name:    "greeting",
		Version: 1,
		Doc:     "Counts the letters of a name.",
		New:     func() pipeline.Stage { return &greeting{Name: "world"} },
	}}
}

// The main function of a program with a stage kind of its own: run, validate, plan, watch, schema and all other commands know it.
func ExampleMain() {
	main := func() {
		cmd.Main(cmd.Options{Kinds: greetings, Version: "1.0"})
	}
	_ = main // it is the program's; Main ends the process
}
