package evaluate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
)

// Input names the numbers that a model takes for a pixel value of 0 to 255.
type Input string

// The inputs. InputAuto takes what the model's metadata say.
const (
	InputAuto       Input = "auto"
	InputPixels     Input = "pixels"     // the pixel values themselves, 0 to 255
	InputUnit       Input = "unit"       // pixel / 255
	InputNormalized Input = "normalized" // (pixel / 255 - mean) / std by channel, the model's own or the data set's
	InputCustom     Input = "custom"     // (pixel * scale - mean) / std with the numbers from the options
)

// Scores names what a model gives for a class.
type Scores string

// The scores. ScoresAuto takes what the model's metadata say, or else what the numbers look like.
const (
	ScoresAuto          Scores = "auto"
	ScoresLogits        Scores = "logits"        // any numbers; their softmax are probabilities. Log-probabilities are logits too
	ScoresProbabilities Scores = "probabilities" // they are not negative and sum to one
)

// Layout is the order of the dimensions of a batch of images.
type Layout string

// The layouts. LayoutAuto takes the one that fits the shape which the model declares, NCHW when both do.
const (
	LayoutAuto Layout = "auto"
	LayoutNCHW Layout = "nchw"
	LayoutNHWC Layout = "nhwc"
)

// Keys of the metadata of models that plateau exports.
const (
	KeyClasses       = "plateau.classes"       // names of the classes, a JSON list in the order of the scores
	KeyInput         = "plateau.input"         // an Input
	KeyOutput        = "plateau.output"        // a Scores
	KeyNormalization = "plateau.normalization" // JSON object with the lists mean and std, of pixel / 255, by channel
	KeyParameters    = "plateau.parameters"    // trainable parameters, counted before normalizations were folded
	KeyView          = "plateau.view"          // JSON object: what the model was shown of a picture (dataset.View)
)

// Settings are the settings of the stage kind "evaluate", and those of Options that a person chooses. Start from
// DefaultSettings.
type Settings struct {
	Split         string    `yaml:"split" doc:"Images to measure on: test, valid or train."`
	Batch         int       `yaml:"batch" doc:"Images a run while accuracy is measured. A model with a fixed batch keeps its own."`
	Input         Input     `yaml:"input" doc:"Numbers that the model takes: auto (as its metadata say), pixels (0 to 255), unit (0 to 1), normalized (by the data set's mean and standard deviation) or custom (by scale, mean and std)."`
	Scale         float64   `yaml:"scale" doc:"With input custom, what a pixel of 0 to 255 is multiplied by first."`
	Mean          []float64 `yaml:"mean" doc:"With input custom, what is subtracted then, one number or one a channel."`
	Std           []float64 `yaml:"std" doc:"With input custom, what it is divided by then, one number or one a channel."`
	Layout        Layout    `yaml:"layout" doc:"Order of the dimensions: nchw, nhwc or auto (from the shape that the model declares)."`
	Output        string    `yaml:"output" doc:"Name of the output with the scores; empty when the model has one that fits."`
	Scores        Scores    `yaml:"scores" doc:"What the scores are: logits, probabilities or auto (from metadata or the numbers)."`
	LatencyRuns   int       `yaml:"latency_runs" doc:"Runs with a single image that are timed; 0 measures no latency."`
	LatencyWarmUp int       `yaml:"latency_warm_up" doc:"Runs with a single image before those that are timed."`
}

// DefaultSettings returns settings for models that plateau has exported.
func DefaultSettings() Settings {
	return Settings{
		Split: "test", Batch: 64, Input: InputAuto, Scale: 1, Layout: LayoutAuto, Scores: ScoresAuto,
		LatencyRuns: 50, LatencyWarmUp: 5,
	}
}

// Validate implements pipeline.Validator. It reports every mistake.
func (s *Settings) Validate() error {
	var errs []error
	check := func(ok bool, path, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: path, Err: fmt.Errorf(format, args...)})
		}
	}
	check(slices.Contains([]string{"test", "valid", "train"}, s.Split), "split", "%q is no split; use test, valid or train", s.Split)
	check(s.Batch >= 1, "batch", "%d images a run; use 1 or more", s.Batch)
	check(s.LatencyRuns >= 0, "latency_runs", "%d runs; use 0 or more", s.LatencyRuns)
	check(s.LatencyWarmUp >= 0, "latency_warm_up", "%d runs; use 0 or more", s.LatencyWarmUp)
	errs = append(errs,
		oneOf("input", s.Input, InputAuto, InputPixels, InputUnit, InputNormalized, InputCustom),
		oneOf("layout", s.Layout, LayoutAuto, LayoutNCHW, LayoutNHWC),
		oneOf("scores", s.Scores, ScoresAuto, ScoresLogits, ScoresProbabilities))
	unused := s.Input != InputCustom && (len(s.Mean) > 0 || len(s.Std) > 0 || s.Scale != 1)
	check(!unused, "input", "scale, mean and std are used with input custom only, and input is %s", s.Input)
	check(finite(s.Scale) && s.Scale != 0, "scale", "%v is not a number other than 0", s.Scale)
	for _, v := range s.Mean {
		check(finite(v), "mean", "%v is not a number", v)
	}
	for _, v := range s.Std {
		check(finite(v) && v > 0, "std", "%v is not a number above 0", v)
	}
	return errors.Join(errs...)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func oneOf[T ~string](path string, value T, allowed ...T) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	texts := make([]string, len(allowed))
	for i, a := range allowed {
		texts[i] = string(a)
	}
	return &pipeline.SettingError{Path: path, Err: fmt.Errorf("%q is not known; use one of %s", value, strings.Join(texts, ", "))}
}

// Options are the settings of a measurement and what only the caller knows.
type Options struct {
	Settings
	// Dataset names the data set in the result.
	Dataset string
	// DataMean and DataStd are those of the data set, of pixel / 255, by channel. They are used with InputNormalized when the
	// model does not bring its own.
	DataMean, DataStd []float32
	// Channels converts the images to what the model takes; empty for the images' own.
	Channels Channels
	// ClassMap is the number of the score of each class of the data set, for models that have other classes, more of them, or
	// another order. Nil when the scores are those of the classes.
	ClassMap []int
	// Progress, when set, is called after each run with the number of images done.
	Progress func(done, total int)
	// Predicted, when set, is called for each image, in order, with the number of its greatest score.
	Predicted func(image, score int)
	// Warn, when set, is told what could not be measured.
	Warn func(format string, args ...any)
}

// DefaultOptions returns DefaultSettings as options.
func DefaultOptions() Options { return Options{Settings: DefaultSettings()} }
