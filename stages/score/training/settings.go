package training

import (
	"errors"
	"fmt"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/train"
)

// Settings say how architectures are trained: the settings of the stage kind "train" and those of budgets. With a bound on parameters or
// multiply-adds every architecture is stacked and widened to it, so that they are compared at equal cost; otherwise all have the same
// channels and cells.
type Settings struct {
	train.Settings `yaml:",inline"`
	Budgets        []int `yaml:"budgets" doc:"For halving: epochs of the lower training budgets, ascending; epochs is the last one."`
	Continue       bool  `yaml:"continue" doc:"Whether a higher budget continues the training of the one before, at the learning rates of all epochs. Otherwise every budget is a training of its own, whose learning rate falls to its end."`
}

// DefaultSettings returns the recipe of the stage kind "train" for 12 epochs, the short training of NAS-Bench-201. Validation
// images are measured on, so they are not trained on.
func DefaultSettings() Settings {
	st := Settings{Settings: train.DefaultSettings()}
	st.Epochs, st.UseValid = 12, false
	return st
}

// Validate reports every mistake, each as a *pipeline.SettingError whose path begins with path.
func (st Settings) Validate(path string) error {
	var errs []error
	at := func(setting string) string { return strings.TrimPrefix(path+"."+setting, ".") }
	check := func(ok bool, setting, format string, args ...any) {
		if !ok {
			errs = append(errs, &pipeline.SettingError{Path: at(setting), Err: fmt.Errorf(format, args...)})
		}
	}
	errs = append(errs, below(path, st.Settings.Validate()))
	check(!st.UseValid, "use_valid", "architectures are compared on the validation images, so they cannot be trained on; leave it out")
	check(!st.Budget.Measured(), "budget", "architectures are compared by what does not depend on the machine; bound parameters or multiply_adds here, and leave time and latency to the stage train")
	for i, n := range st.Budgets {
		setting := fmt.Sprintf("budgets[%d]", i)
		check(n >= 1 && n < st.Epochs, setting, "%d is not between 1 and less than the %d epochs", n, st.Epochs)
		check(i == 0 || n > st.Budgets[i-1], setting, "%d comes after %d; budgets are ascending", n, st.Budgets[max(0, i-1)])
	}
	return errors.Join(errs...)
}

// below gives setting errors paths below a setting.
func below(path string, err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, one := range many.Unwrap() {
			out = append(out, below(path, one))
		}
		return errors.Join(out...)
	}
	if one, ok := err.(*pipeline.SettingError); ok && path != "" {
		return &pipeline.SettingError{Path: path + "." + one.Path, Err: one.Err, Known: one.Known}
	}
	return err
}
