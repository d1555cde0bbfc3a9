package evaluate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
)

// ClassifierOptions say how pictures become a model's numbers and its scores become probabilities, as far as the model does not
// say so itself. The zero value is for models that plateau has exported.
type ClassifierOptions struct {
	Input     Input     // empty: as the metadata say
	Scale     float64   // with InputCustom: (pixel * Scale - Mean) / Std
	Mean, Std []float64 // none, one number, or one a channel
	Layout    Layout
	Channels  Channels // empty or ChannelsAuto: gray where the model takes one channel, else red, green and blue
	Output    string   // name of the output with the scores, where several fit
	Scores    Scores
	// Size, Center and Stored are what is shown of a picture, as in dataset.View; 0 and nil for what the model says.
	Size   int
	Center float64
	Stored *bool
	// Classes are the names of the classes in the order of the scores; nil for those in the metadata, or for numbers from 0.
	Classes []string
}

// Guess is a class that a picture may show.
type Guess struct {
	Class       string  `json:"class"`
	Index       int     `json:"index"`       // of its score, from 0
	Probability float64 `json:"probability"` // 0 to 1
}

// Classifier tells what pictures show by an ONNX model. Several goroutines may use it at once.
type Classifier struct {
	session  *runtime.Session
	feed     *feed
	view     dataset.View
	channels Channels
	output   string
	scores   Scores
	classes  []string // nil for numbers
}

// OpenClassifier loads the classifier in an .onnx file, which needs one input that takes square images, float32 or uint8, and an output
// with one float32 score for each class. The caller closes it.
//
//	rt, err := runtime.Open(ctx, runtime.Settings{})
//	c, err := evaluate.OpenClassifier(ctx, rt, "model.onnx", evaluate.ClassifierOptions{})
//	picture, err := os.ReadFile("photo.jpg")
//	guesses, err := c.Picture(ctx, picture)
//	fmt.Println(guesses[0].Class, guesses[0].Probability)
func OpenClassifier(ctx context.Context, rt *runtime.Runtime, path string, o ClassifierOptions) (*Classifier, error) {
	wrap := func(err error) error { return fmt.Errorf("classify with %s: %w", path, err) }
	if err := o.settings().Validate(); err != nil {
		return nil, wrap(err)
	}
	about, err := Read(path)
	if err != nil {
		return nil, wrap(err)
	}
	c := &Classifier{classes: o.Classes}
	if c.classes == nil {
		c.classes = ModelClasses(about.Metadata)
	}
	if c.view, err = o.view(about); err != nil {
		return nil, wrap(err)
	}
	if err := ctx.Err(); err != nil {
		return nil, wrap(err)
	}
	if c.session, err = rt.NewSessionFile(path, runtime.SessionOptions{}); err != nil {
		return nil, wrap(err)
	}
	if err := c.prepare(o); err != nil {
		return nil, wrap(errors.Join(err, c.session.Close()))
	}
	return c, nil
}

func (o ClassifierOptions) settings() *Settings {
	s := DefaultSettings()
	s.Mean, s.Std = o.Mean, o.Std
	if o.Scale != 0 {
		s.Scale = o.Scale
	}
	s.Input, s.Layout, s.Scores = cmp.Or(o.Input, InputAuto), cmp.Or(o.Layout, LayoutAuto), cmp.Or(o.Scores, ScoresAuto)
	s.Output = o.Output
	return &s
}

// view settles what is shown of pictures.
func (o ClassifierOptions) view(about *About) (dataset.View, error) {
	v, err := about.View(cmp.Or(o.Layout, LayoutAuto))
	if err != nil {
		return v, err
	}
	if o.Size != 0 {
		v.Size = o.Size
	}
	if o.Center != 0 {
		v.Center = o.Center
	}
	if o.Stored != nil {
		v.Stored = *o.Stored
	}
	if v.Size == 0 {
		return v, ErrSizeUnknown
	}
	return v, v.Check()
}

// ErrSizeUnknown is the error about a model that does not declare the size of the square images that it takes.
var ErrSizeUnknown = errors.New("it does not declare one size of square images")

// prepare finds out how the model wants images and where it gives its scores.
func (c *Classifier) prepare(o ClassifierOptions) error {
	settings := Options{Settings: *o.settings()}
	color := &dataset.Images{Count: 1, Channels: 3, Height: c.view.Size, Width: c.view.Size}
	c.channels = cmp.Or(o.Channels, ChannelsAuto)
	try := []Channels{c.channels}
	if c.channels == ChannelsAuto {
		try = []Channels{ChannelsRGB, ChannelsGray}
	}
	var first error
	for _, channels := range try {
		im := *color
		if channels == ChannelsGray {
			im.Channels = 1
		} else if !slices.Contains([]Channels{ChannelsRGB, ChannelsBGR}, channels) {
			return fmt.Errorf("channels %q are not known; use %s, %s, %s or %s", channels, ChannelsAuto, ChannelsGray, ChannelsRGB, ChannelsBGR)
		}
		var err error
		if c.feed, err = newFeed(c.session, &im, settings); err == nil {
			c.channels, first = channels, nil
			break
		}
		if first == nil {
			first = err
		}
	}
	if first != nil {
		return first
	}
	want := wanted{fits: func(n int64) bool { return n > 1 }, classes: "pictures", shape: "[batch, classes]"}
	if n := len(c.classes); n > 0 {
		want = wanted{fits: func(scores int64) bool { return scores == int64(n) }, classes: fmt.Sprintf("the %d classes that are named", n), shape: fmt.Sprintf("[batch, %d]", n)}
	}
	var err error
	if c.output, err = chooseOutput(c.session, want, o.Output); err != nil {
		return err
	}
	c.scores, _, err = scoresOf(c.session.Metadata(), cmp.Or(o.Scores, ScoresAuto))
	return err
}

// View is what is shown to the model of a picture.
func (c *Classifier) View() dataset.View { return c.view }

// Classes returns the names of the classes in the order of the scores; nil where neither the model nor the options name them.
func (c *Classifier) Classes() []string { return slices.Clone(c.classes) }

// Close frees the model.
func (c *Classifier) Close() error {
	if err := c.session.Close(); err != nil {
		return fmt.Errorf("close the classifier: %w", err)
	}
	return nil
}

// Picture classifies the picture of a file's content: all classes, the most probable first.
func (c *Classifier) Picture(ctx context.Context, content []byte) ([]Guess, error) {
	im, err := dataset.ReadPicture(content, c.view)
	if err != nil {
		return nil, err
	}
	all, err := c.Images(ctx, []*dataset.Images{im})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// Images classifies images that dataset.ReadPicture has read with View, in one batch, and returns the classes of each, the most
// probable first.
func (c *Classifier) Images(ctx context.Context, images []*dataset.Images) ([][]Guess, error) {
	if len(images) == 0 {
		return nil, nil
	}
	all := &dataset.Images{Count: len(images), Channels: 3, Height: c.view.Size, Width: c.view.Size}
	for i, im := range images {
		if im.Count != 1 || im.Channels != 3 || im.Height != c.view.Size || im.Width != c.view.Size {
			return nil, fmt.Errorf("image %d is %d of %d channels, %dx%d; want one of 3, %d x %[6]d", i, im.Count, im.Channels, im.Height, im.Width, c.view.Size)
		}
		all.Pixels = append(all.Pixels, im.Pixels...)
	}
	all, _, err := c.channels.convert(all)
	if err != nil {
		return nil, err
	}
	out := make([][]Guess, 0, len(images))
	rows := len(images)
	if fixed := int(c.feed.shape[0]); fixed > 0 {
		rows = fixed
	}
	for first := 0; first < len(images); first += rows {
		y, err := c.session.Run(ctx, map[string]runtime.Tensor{c.feed.name: c.feed.batch(all, first, rows)})
		if err != nil {
			return nil, err
		}
		scores, ok := y[c.output].Data.([]float32)
		each := len(scores) / rows
		if named := len(c.classes); !ok || len(scores) != rows*each || each < 2 || named > 0 && each != named {
			return nil, fmt.Errorf("its output %q has the shape %v for %d images; it must give one float32 score for each of two or more classes (%d are named)", c.output, y[c.output].Shape, rows, named)
		}
		for i := range min(rows, len(images)-first) {
			guesses, err := c.guesses(scores[i*each : (i+1)*each])
			if err != nil {
				return nil, err
			}
			out = append(out, guesses)
		}
	}
	return out, nil
}

// guesses turns scores into classes with probabilities, the most probable first and among equals the one whose score comes first.
func (c *Classifier) guesses(scores []float32) ([]Guess, error) {
	p, err := probabilities(scores, c.scores)
	if err != nil {
		return nil, err
	}
	out := make([]Guess, len(p))
	for i := range p {
		out[i] = Guess{Class: strconv.Itoa(i), Index: i, Probability: p[i]}
		if i < len(c.classes) && c.classes[i] != "" {
			out[i].Class = c.classes[i]
		}
	}
	slices.SortStableFunc(out, func(a, b Guess) int { return cmp.Compare(b.Probability, a.Probability) })
	return out, nil
}

// probabilities are the scores themselves where they are probabilities or look so, else their softmax.
func probabilities(scores []float32, kind Scores) ([]float64, error) {
	out, high := make([]float64, len(scores)), math.Inf(-1)
	for i, v := range scores {
		out[i] = float64(v)
		if math.IsNaN(out[i]) || math.IsInf(out[i], 1) {
			return nil, fmt.Errorf("the score of class %d is %v", i, v)
		}
		high = max(high, out[i])
	}
	if math.IsInf(high, -1) {
		return nil, errors.New("all scores are -Inf")
	}
	if kind == ScoresProbabilities || kind == ScoresAuto && probable(scores) {
		return out, nil
	}
	sum := 0.0
	for i := range out {
		out[i] = math.Exp(out[i] - high)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out, nil
}
