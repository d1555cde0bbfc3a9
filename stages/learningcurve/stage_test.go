package learningcurve

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
	"github.com/plateau-nas/plateau/stages/train"
)

func TestMain(m *testing.M) { stagetest.Main(m) }

func TestCurve(t *testing.T) {
	folder := t.TempDir()
	data := stagetest.Dataset(t, stagetest.Images{Train: 48, Valid: 16, Seed: 1})
	s := train.DefaultSettings()
	s.Channels, s.Epochs, s.Training.Batch = 2, 4, 8
	net, err := s.Network(space.NASBench201(), "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|", data)
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]pipeline.Artifact{}
	for name, write := range map[string]func(string) error{
		"dataset": data.Save,
		"network": func(p string) error { return supernet.WriteNetwork(p, net) },
		"recipe":  func(p string) error { return train.WriteRecipe(p, s) },
	} {
		path := filepath.Join(folder, name)
		if err := write(path); err != nil {
			t.Fatal(err)
		}
		in[name] = pipeline.Artifact{Path: path}
	}
	run := stagetest.Run{Kind: Kind(stagetest.Opener(t)), Inputs: in, Seed: 2}
	res := run.Must(t)
	c, err := result.ReadCurve(res.Outputs["curve"])
	if err != nil {
		t.Fatal(err)
	}
	// Half of 4 epochs of 8 steps; with 16 images an epoch has 2 steps.
	if c.Steps != 16 || len(c.Points) != 3 || c.Points[0].Images != 16 || c.Points[0].Epochs != 8 || c.Points[2].Images != 64 || c.Points[2].Epochs != 2 || c.Count != 10 {
		t.Errorf("%+v", c)
	}
	if !strings.Contains(c.Sentence, "(128)") || res.Summary != c.Sentence || res.Metrics["curve_gain"] != c.Gain || !(c.GainLow <= c.GainHigh) {
		t.Errorf("%q, metrics %v", c.Sentence, res.Metrics)
	}
	stagetest.SameBytes(t, res, run.Must(t))
}

// The fit through the points is that of numpy.
func TestDoublingAgreesWithNumpy(t *testing.T) {
	text, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Images         []float64
		Wrong          []int
		N              int
		Exponent, Gain float64
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) == 0 {
		t.Fatal(len(cases), err)
	}
	for _, c := range cases {
		exponent, gain := doubling(c.Images, c.Wrong, c.N)
		if math.Abs(exponent-c.Exponent) > 1e-9 || math.Abs(gain-c.Gain) > 1e-9 {
			t.Errorf("%+v: %v, %v", c, exponent, gain)
		}
	}
}

// What the points show is said, and what they leave open too.
func TestSentences(t *testing.T) {
	for _, c := range []struct {
		n     int
		top1  [3]float64
		wants string
	}{
		{2000, [3]float64{0.6, 0.7, 0.78}, "Twice as many training pictures (800) would probably add about 5"},
		{30, [3]float64{0.8, 0.77, 0.83}, "Whether more training pictures would help cannot be told"},
		{5000, [3]float64{0.995, 0.995, 0.995}, "Twice as many training pictures (800) would hardly add anything"},
	} {
		rng := rand.New(rand.NewPCG(1, 1))
		curve := &result.Curve{Count: c.n}
		var right [][]byte
		order := rng.Perm(c.n)
		for i, top1 := range c.top1 {
			curve.Points = append(curve.Points, result.CurvePoint{Images: 100 << i, Top1: math.Round(top1*float64(c.n)) / float64(c.n)})
			bits := make([]byte, (c.n+7)/8)
			for _, k := range order[:int(math.Round(top1*float64(c.n)))] {
				bits[k/8] |= 1 << (k % 8)
			}
			right = append(right, bits)
		}
		extrapolate(curve, right, seed.New(1, "bootstrap"))
		if !strings.HasPrefix(curve.Sentence, c.wants) {
			t.Errorf("%v of %d: %s", c.top1, c.n, curve.Sentence)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, s := range []Settings{{Shares: []float64{1}, Effort: 1}, {Shares: []float64{0.5, 0.5}, Effort: 1}, {Shares: []float64{0.5, 1.5}, Effort: 1}, {Shares: []float64{0.5, 1}}} {
		if s.Validate() == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
	if s := DefaultSettings(); s.Validate() != nil {
		t.Error(s.Validate())
	}
}
