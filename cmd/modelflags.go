package cmd

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/plateau-nas/plateau/stages/evaluate"
)

// modelFlags say how pictures become the numbers of a model that does not say so itself.
type modelFlags struct {
	layout, channels, scores, output, labels string

	scale, center float64
	mean, std     []float64
	size          int
	ignoreEXIF    bool
}

// add gives a command the flags.
func (f *modelFlags) add(cmd *cobra.Command, size, labels string) {
	s := cmd.Flags()
	s.IntVar(&f.size, "size", 0, size)
	s.BoolVar(&f.ignoreEXIF, "ignore-exif", false, "take pictures as they are stored; otherwise they are turned as the EXIF orientation of their camera says (default as the model says)")
	s.Float64Var(&f.center, "center", 1, "the share of the side of a picture's center square that is shown; 0.875 is usual for ImageNet (default as the model says)")
	s.Float64Var(&f.scale, "scale", 1, "the model's number for the brightest pixel, such as 255 or 1 (default as the model says)")
	s.Float64SliceVar(&f.mean, "mean", nil, "what is subtracted after the scale, one number or one a channel")
	s.Float64SliceVar(&f.std, "std", nil, "what it is divided by then, one number or one a channel")
	s.StringVar(&f.layout, "layout", string(evaluate.LayoutAuto), "order of the dimensions: nchw, nhwc or auto (from the shape that the model declares)")
	s.StringVar(&f.channels, "channels", string(evaluate.ChannelsAuto), "the model's channels, which pictures are converted to: gray, rgb, bgr, or auto")
	s.StringVar(&f.labels, "labels", labelsAuto, labels)
	s.StringVar(&f.output, "output", "", "name of the output with the scores, where several fit")
	s.StringVar(&f.scores, "scores", string(evaluate.ScoresAuto), "what the scores are: logits, probabilities or auto (as the model says, or from the numbers)")
	for name, values := range map[string][]string{
		"layout":   {string(evaluate.LayoutAuto), string(evaluate.LayoutNCHW), string(evaluate.LayoutNHWC)},
		"channels": {string(evaluate.ChannelsAuto), string(evaluate.ChannelsGray), string(evaluate.ChannelsRGB), string(evaluate.ChannelsBGR)},
		"scores":   {string(evaluate.ScoresAuto), string(evaluate.ScoresLogits), string(evaluate.ScoresProbabilities)},
	} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	}
}

// check reports what the flags alone tell to be wrong.
func (f *modelFlags) check() error {
	switch known := []evaluate.Channels{evaluate.ChannelsAuto, evaluate.ChannelsGray, evaluate.ChannelsRGB, evaluate.ChannelsBGR}; {
	case !slices.Contains(known, evaluate.Channels(f.channels)):
		return usagef("--channels must be auto, gray, rgb or bgr, found %q", f.channels)
	case f.size < 0:
		return usagef("--size %d: want the height and width in pixels, or 0 for the model's", f.size)
	case !(f.center > 0 && f.center <= 1):
		return usagef("--center %v: want a share of the side above 0 and at most 1", f.center)
	}
	return nil
}

// classifier turns flags into the options of a classifier; those that were not given are left to the model.
func (f *modelFlags) classifier(given func(flag string) bool) (evaluate.ClassifierOptions, error) {
	o := evaluate.ClassifierOptions{
		Layout: evaluate.Layout(f.layout), Channels: evaluate.Channels(f.channels), Output: f.output, Scores: evaluate.Scores(f.scores), Size: f.size,
	}
	if err := f.check(); err != nil {
		return o, err
	}
	if given("scale") || given("mean") || given("std") {
		o.Input, o.Scale, o.Mean, o.Std = evaluate.InputCustom, f.scale/255, f.mean, f.std
	}
	if given("center") {
		o.Center = f.center
	}
	if given("ignore-exif") {
		o.Stored = &f.ignoreEXIF
	}
	switch f.labels {
	case labelsAuto:
	case labelsNumbers:
		o.Classes = []string{}
	default:
		names, err := evaluate.ReadClasses(f.labels)
		if err != nil {
			return o, usagef("--labels: %w", err)
		}
		o.Classes = names
	}
	return o, nil
}
