package stages_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/event"
	"github.com/plateau-nas/plateau/pipeline/store"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages"
	"github.com/plateau-nas/plateau/stages/dataset"
)

// brightness is a stage kind of one's own, which reads what a shipped kind has written.
type brightness struct {
	Split string `yaml:"split" enum:"train,test" doc:"Images to look at."`
}

func (b *brightness) Run(_ context.Context, job *pipeline.Job) error {
	in, _ := job.Input("dataset")
	d, err := dataset.Load(in.Path)
	if err != nil {
		return err
	}
	im := map[string]*dataset.Images{"train": d.Train, "test": d.Test}[b.Split]
	sum := 0
	for _, p := range im.Pixels {
		sum += int(p)
	}
	job.Metric("images", float64(im.Count))
	job.Metric("brightness", float64(sum)/float64(len(im.Pixels)))
	return nil
}

// Example runs a shipped stage kind and one of its own in a document that is built in code, and listens. A shipped document
// is run in the same way: pipeline.Load with the text that configs.Read("quickstart") returns takes the place of Build.
func Example() {
	if err := run(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// data finished
	// look: images is 20
	// look finished
	// the same again: reuse, reuse
}

func run() error {
	// Stages that compute with ONNX Runtime open it when they run; these do not.
	shipped, err := stages.Registry(func(ctx context.Context) (*runtime.Runtime, error) {
		return runtime.Open(ctx, runtime.Settings{})
	})
	if err != nil {
		return err
	}
	registry, err := shipped.With(pipeline.Kind{
		Name:    "brightness",
		Version: 1,
		Doc:     "Measures how bright images are.",
		Inputs:  []pipeline.Port{{Name: "dataset", Type: "dataset"}},
		New:     func() pipeline.Stage { return &brightness{Split: "train"} },
	})
	if err != nil {
		return err
	}

	images := dataset.DefaultSettings()
	images.Size, images.TrainImages, images.TestImages = 12, 40, 20
	doc, err := pipeline.Build(pipeline.Spec{
		Name: "look",
		Stages: []pipeline.StageSpec{
			{ID: "data", Kind: "dataset", Settings: &images},
			{ID: "look", Kind: "brightness", Inputs: map[string]string{"dataset": "data"}, Settings: map[string]any{"split": "test"}},
		},
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
	ctx := context.Background()
	plan, err := doc.Plan(ctx, registry, st, pipeline.PlanOptions{})
	if err != nil {
		return err
	}
	runner := pipeline.Runner{Store: st, Dir: filepath.Join(dir, "run"), Events: event.Func(func(e event.Event) {
		switch e.Type {
		case event.StageMetric:
			if e.Values[0].Name == "images" {
				fmt.Printf("%s: %s is %v\n", e.Stage, e.Values[0].Name, e.Values[0].Value)
			}
		case event.StageFinished:
			fmt.Println(e.Stage, "finished")
		}
	})}
	if _, err := runner.Run(ctx, plan); err != nil {
		return err
	}

	again, err := doc.Plan(ctx, registry, st, pipeline.PlanOptions{})
	if err != nil {
		return err
	}
	fmt.Printf("the same again: %s, %s\n", again.Stages[0].Action, again.Stages[1].Action)
	return nil
}
