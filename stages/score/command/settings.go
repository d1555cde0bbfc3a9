package command

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/score"
)

// Settings say what is run and what its answer means.
type Settings struct {
	Command   []string      `yaml:"command" doc:"The program and its arguments, each an entry of the list; no shell reads them. {model} stands for the path of the candidate's ONNX model, {architecture} for the candidate as its space writes it."`
	Score     string        `yaml:"score" doc:"Name of the number in the answer that is the score."`
	Lower     bool          `yaml:"lower" doc:"Whether less of it is better, as for a latency; the score is then its negative."`
	Metrics   []string      `yaml:"metrics" doc:"Names of further numbers in the answer, which objectives can refer to."`
	Weights   string        `yaml:"weights" enum:"initial,inherited,trained" doc:"Weights of the model: initial (random), inherited (the shared weights) or trained (as evaluator.training says)."`
	Timeout   time.Duration `yaml:"timeout" doc:"How long one run may take, after which the program and what it started are ended."`
	Retries   int           `yaml:"retries" doc:"How often the command is run again on a candidate on which it failed."`
	Parallel  int           `yaml:"parallel" doc:"How many runs may be under way at once; 1 where runs that share a device would disturb each other."`
	MaxOutput int           `yaml:"max_output" doc:"Bytes of standard output that are read; a program that writes more is ended."`
	GiveUp    int           `yaml:"give_up" doc:"The search ends when the command fails on each of so many first candidates."`
}

// The weights of the model that a command is given.
const (
	Initial   = "initial"
	Inherited = "inherited"
	Trained   = "trained"
)

// DefaultSettings returns limits that suit a command of some seconds. Command and Score are the user's to say.
func DefaultSettings() Settings {
	return Settings{Weights: Initial, Timeout: 10 * time.Minute, Retries: 1, Parallel: 1, MaxOutput: 1 << 20, GiveUp: 5}
}

var metricName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// Validate reports every mistake, each as a *pipeline.SettingError whose path begins with path.
func (st Settings) Validate(path string) error {
	var errs []error
	at := func(setting string) string { return strings.TrimPrefix(path+"."+setting, ".") }
	check := func(ok bool, setting, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: at(setting), Err: fmt.Errorf(format, args...)})
		}
	}
	switch {
	case len(st.Command) == 0 || st.Command[0] == "":
		check(false, "command", "the command is empty; give a program and its arguments as a list, such as [./measure, \"{model}\"]")
	case !strings.Contains(strings.Join(st.Command[1:], "\n"), "{model}"):
		check(false, "command", "no argument of %q has {model}, so the program would not know what to measure; add \"{model}\"", strings.Join(st.Command, " "))
	}
	check(st.Score != "", "score", "the name of the number that is the score is missing, such as latency_ms")
	for i, name := range st.wanted() {
		setting := "score"
		if i > 0 {
			setting = fmt.Sprintf("metrics[%d]", i-1)
		}
		check(name == "" && i == 0 || metricName.MatchString(name) && name != "score", setting, "%q is no name for a metric; use letters, digits and _, and not the word score", name)
		check(!slices.Contains(st.wanted()[:i], name), setting, "%q is named twice", name)
	}
	if known := []string{Initial, Inherited, Trained}; !slices.Contains(known, st.Weights) {
		errs = append(errs, pipeline.UnknownValue(at("weights"), st.Weights, known))
	}
	check(st.Timeout > 0, "timeout", "%v is no time to run; give a duration such as 10m", st.Timeout)
	check(st.Retries >= 0 && st.Retries <= 100, "retries", "%d; give a number from 0 to 100", st.Retries)
	check(st.Parallel >= 1, "parallel", "%d; at least 1 run must be allowed", st.Parallel)
	check(st.MaxOutput >= 2, "max_output", "%d bytes hold no answer", st.MaxOutput)
	check(st.GiveUp >= 1, "give_up", "%d; give a number of candidates of at least 1", st.GiveUp)
	return errors.Join(errs...)
}

// wanted returns the names of all numbers that an answer must have, the score's first.
func (st Settings) wanted() []string { return append([]string{st.Score}, st.Metrics...) }

// Names returns the names of the metrics of a result: all that the answer must have.
func (st Settings) Names() []string { return st.wanted() }

// result makes a result of the numbers of an answer.
func (st Settings) result(numbers map[string]float64) score.Result {
	r := score.Result{Score: numbers[st.Score]}
	if st.Lower {
		r.Score = -r.Score
	}
	for name, v := range numbers {
		switch name {
		case "loss":
			r.Loss = v
		case "accuracy":
			r.Accuracy = v
		default:
			if r.Metrics == nil {
				r.Metrics = map[string]float64{}
			}
			r.Metrics[name] = v
		}
	}
	return r
}
