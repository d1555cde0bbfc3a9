package score_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/internal/stagetest"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/scoretest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

func TestMain(m *testing.M) { runtimetest.Main(m) }

// fixture is a supernet with random weights and images to score on.
type fixture struct {
	rt      *runtime.Runtime
	sp      *space.Space
	sn      *supernet.Supernet
	data    *dataset.Dataset
	model   []byte
	flat    []float32
	weights *runtime.State
	form    score.Form
}

// eachForm runs a test on a fixture for each form of evaluation.
func eachForm(t *testing.T, valid int, test func(*testing.T, *fixture)) {
	for name, form := range map[string]score.Form{"constant": score.Constant, "path": score.Path} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, valid)
			f.form = form
			test(t, f)
		})
	}
}

const batch = 8

func newFixture(t *testing.T, valid int) *fixture {
	t.Helper()
	f := &fixture{rt: runtimetest.Open(t), sp: space.NASBench201(), data: stagetest.Dataset(t, stagetest.Images{Train: 10, Valid: valid, Seed: 5})}
	var err error
	if f.sn, err = supernet.New(f.sp, stagetest.Macro()); err != nil {
		t.Fatal(err)
	}
	f.model = encoded(t, f.sn.Path)
	f.flat = f.sn.Index.Initialize(rand.New(rand.NewPCG(8, 9)))
	if f.weights, err = f.rt.NewState(len(f.flat)); err != nil {
		t.Fatal(err)
	}
	if err := f.weights.Write(f.flat); err != nil {
		t.Fatal(err)
	}
	// A state cannot be closed while a step uses it, so this shows whether the path form was.
	t.Cleanup(func() {
		if err := f.weights.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func encoded(t *testing.T, build func(batch int) (*onnx.ModelProto, error)) []byte {
	t.Helper()
	m, err := build(batch)
	if err != nil {
		t.Fatal(err)
	}
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (f *fixture) sharing(t *testing.T, o score.SharingOptions) *score.WeightSharing {
	t.Helper()
	o.Form = f.form
	w, err := score.NewWeightSharing(context.Background(), f.rt, f.model, f.sp, f.weights, f.data.Valid, f.data.Mean, f.data.Std, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func drawn(n int) []space.Architecture {
	rng := rand.New(rand.NewPCG(2, 3))
	out := []space.Architecture{{0, 0, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1}}
	for len(out) < n {
		out = append(out, space.NASBench201().Random(rng))
	}
	return out
}

func evaluate(t *testing.T, e score.Evaluator, archs []space.Architecture) []score.Result {
	t.Helper()
	out, err := e.Evaluate(context.Background(), archs)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWeightSharingConforms(t *testing.T) {
	f := newFixture(t, 2*batch)
	scoretest.Run(t, scoretest.Suite{
		Space: f.sp, Architectures: 4,
		New: func(t *testing.T) score.Evaluator { return f.sharing(t, score.SharingOptions{Workers: 2}) },
	})
}

// alone scores an architecture as a stand-alone network with the same weights, on batches of the same images.
func (f *fixture) alone(t *testing.T, a space.Architecture, images int) score.Result {
	t.Helper()
	n := supernet.Network{Space: f.sp.Name, Architecture: f.sp.Format(a), Macro: stagetest.Macro()}
	index, _, err := n.Indexes()
	if err != nil {
		t.Fatal(err)
	}
	own := index.Initialize(rand.New(rand.NewPCG(0, 0))) // ones and zeros where the supernet has no parameters
	if _, err := params.Copy(own, index, f.flat, f.sn.Index, func(name string) (string, bool) {
		_, ok := f.sn.Index.Lookup(name)
		return name, ok
	}); err != nil {
		t.Fatal(err)
	}
	s, err := f.rt.NewSession(encoded(t, n.Forward), runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	loader, err := dataset.NewLoader(f.data.Valid, f.data.Mean, f.data.Std, dataset.LoaderOptions{Batch: batch, DropLast: true})
	if err != nil {
		t.Fatal(err)
	}
	var loss float64
	var hits, seen int
	for b, err := range loader.Epoch(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if seen == images {
			break
		}
		out, err := s.Run(context.Background(), map[string]runtime.Tensor{
			"images": {Shape: []int64{batch, 3, 12, 12}, Data: b.X}, "params": {Shape: []int64{int64(len(own))}, Data: own},
		})
		if err != nil {
			t.Fatal(err)
		}
		l, h := score.CrossEntropy(out["logits"].Data.([]float32), b.Y)
		loss, hits, seen = loss+l, hits+h, seen+b.Count
	}
	loss /= float64(seen)
	return score.Result{Score: -loss, Loss: loss, Accuracy: float64(hits) / float64(seen)}
}

func TestWeightSharingEqualsTheStandAloneNetworks(t *testing.T) {
	eachForm(t, 20, func(t *testing.T, f *fixture) {
		for _, c := range []struct{ images, used int }{{0, 16}, {16, 16}, {15, 8}, {9, 8}, {100, 16}} {
			w := f.sharing(t, score.SharingOptions{Images: c.images, Workers: 1})
			if w.Images() != c.used {
				t.Errorf("asked for %d images, %d are used instead of %d", c.images, w.Images(), c.used)
			}
			archs := drawn(4)
			for i, got := range evaluate(t, w, archs) {
				want := f.alone(t, archs[i], c.used)
				if math.Abs(got.Loss-want.Loss) > 1e-4*want.Loss || got.Accuracy != want.Accuracy || got.Score != -got.Loss {
					t.Errorf("%s on %d images: %+v, the stand-alone network has %+v", f.sp.Format(archs[i]), c.used, got, want)
				}
			}
		}
	})
}

func TestScoresDoNotDependOnWorkersOrOrder(t *testing.T) {
	eachForm(t, 16, func(t *testing.T, f *fixture) {
		archs := drawn(12)
		want := evaluate(t, f.sharing(t, score.SharingOptions{Workers: 1}), archs)
		two := f.sharing(t, score.SharingOptions{Workers: 2})
		if diff := cmp.Diff(want, evaluate(t, two, archs)); diff != "" {
			t.Errorf("two workers answer differently (-one +two):\n%s", diff)
		}
		if diff := cmp.Diff(want[:1], evaluate(t, f.sharing(t, score.SharingOptions{Workers: 5}), archs[:1])); diff != "" {
			t.Errorf("more workers than there is work answer differently (-one +five):\n%s", diff)
		}
		rng := rand.New(rand.NewPCG(4, 4))
		order := rng.Perm(len(archs))
		shuffled := make([]space.Architecture, len(archs))
		for i, j := range order {
			shuffled[i] = archs[j]
		}
		got := evaluate(t, two, shuffled)
		for i, j := range order {
			if !cmp.Equal(got[i], want[j]) {
				t.Errorf("architecture %d: %+v in another order, %+v before", j, got[i], want[j])
			}
		}
		if got := evaluate(t, two, archs[:1]); !cmp.Equal(got[0], want[0]) {
			t.Errorf("asked for alone: %+v, among others: %+v", got[0], want[0])
		}
	})
}

// The weights are those of the state at the time, not of the time when the evaluator was made.
func TestScoresFollowTheWeights(t *testing.T) {
	eachForm(t, 16, func(t *testing.T, f *fixture) {
		w, archs := f.sharing(t, score.SharingOptions{}), drawn(3)
		before := evaluate(t, w, archs)
		if err := f.weights.Write(f.sn.Index.Initialize(rand.New(rand.NewPCG(77, 1)))); err != nil {
			t.Fatal(err)
		}
		if after := evaluate(t, w, archs); cmp.Equal(after[1], before[1]) {
			t.Error("other weights give the same score")
		}
		if err := f.weights.Write(f.flat); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, evaluate(t, w, archs)); diff != "" {
			t.Errorf("the old weights give other scores:\n%s", diff)
		}
	})
}

// What an architecture scores is the same in both forms, but for rounding.
func TestFormsAgree(t *testing.T) {
	f := newFixture(t, 24)
	archs := append(drawn(20), space.Architecture{3, 0, 0, 0, 0, 0}, space.Architecture{0, 0, 3, 0, 0, 2}, space.Architecture{2, 0, 3, 1, 0, 0})
	f.form = score.Path
	want := evaluate(t, f.sharing(t, score.SharingOptions{}), archs)
	f.form = score.Constant
	for i, got := range evaluate(t, f.sharing(t, score.SharingOptions{}), archs) {
		if math.Abs(got.Loss-want[i].Loss) > 1e-5*want[i].Loss || got.Accuracy != want[i].Accuracy {
			t.Errorf("%s: %+v with constant weights, %+v in the path form", f.sp.Format(archs[i]), got, want[i])
		}
	}
}

func TestWeightsOfAnotherSupernetAreRefused(t *testing.T) {
	f := newFixture(t, 16)
	other, err := f.rt.NewState(len(f.flat) + 1)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, err = score.NewWeightSharing(context.Background(), f.rt, f.model, f.sp, other, f.data.Valid, f.data.Mean, f.data.Std, score.SharingOptions{})
	if err == nil || !strings.Contains(err.Error(), "shared weights") || !strings.Contains(err.Error(), "same run") {
		t.Error(err)
	}
}

func TestEvaluationsMayOverlap(t *testing.T) {
	eachForm(t, 16, func(t *testing.T, f *fixture) {
		w, archs := f.sharing(t, score.SharingOptions{Workers: 2}), drawn(6)
		want := evaluate(t, w, archs)
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				got, err := w.Evaluate(context.Background(), archs)
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("beside others: %v (-alone +beside):\n%s", err, diff)
				}
			})
		}
		group.Wait()
	})
}

func TestWeightSharingSaysWhatDoesNotFit(t *testing.T) {
	f := newFixture(t, 16)
	for _, c := range []struct {
		name   string
		change func(*dataset.Images, *[]byte)
		want   []string
	}{
		{"too few images", func(im *dataset.Images, _ *[]byte) {
			im.Count, im.Labels, im.Pixels = 7, im.Labels[:7], im.Pixels[:7*im.Values()]
		},
			[]string{"7 validation images do not fill one batch of 8", "score_batch"}},
		{"no images", func(im *dataset.Images, _ *[]byte) { im.Count, im.Labels, im.Pixels = 0, nil, nil },
			[]string{"0 validation images"}},
		// Just as many numbers as the supernet wants, but not the same images.
		{"images of another size", func(im *dataset.Images, _ *[]byte) {
			im.Count, im.Height, im.Width = 64, 6, 6
			im.Labels = make([]int64, 64)
		},
			[]string{"[3 12 12]", "[3 6 6]", "same dataset"}},
		{"labels beyond the classes", func(im *dataset.Images, _ *[]byte) { im.Labels = append([]int64{10}, im.Labels[1:]...) },
			[]string{"label 10", "10 classes"}},
		{"no model", func(_ *dataset.Images, m *[]byte) { *m = []byte("nonsense") }, []string{"the supernet's path form"}},
		{"the relaxed supernet", func(_ *dataset.Images, m *[]byte) { *m = encoded(t, f.sn.Forward) }, []string{`no input or output "choices"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			images, model := *f.data.Valid, f.model
			c.change(&images, &model)
			_, err := score.NewWeightSharing(context.Background(), f.rt, model, f.sp, f.weights, &images, f.data.Mean, f.data.Std, score.SharingOptions{Workers: 2})
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range append(c.want, "preparing to score architectures") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
		})
	}
}

func TestDivergedWeightsAreAnError(t *testing.T) {
	eachForm(t, 16, func(t *testing.T, f *fixture) {
		w := f.sharing(t, score.SharingOptions{})
		for _, v := range []float64{math.NaN(), math.Inf(1)} {
			bad := append([]float32(nil), f.flat...)
			for i := range bad {
				bad[i] = float32(v)
			}
			if err := f.weights.Write(bad); err != nil {
				t.Fatal(err)
			}
			_, err := w.Evaluate(context.Background(), drawn(4))
			if err == nil || !strings.Contains(err.Error(), "diverged") || !strings.Contains(err.Error(), "lower learning rate") || !strings.Contains(err.Error(), "architecture |") {
				t.Errorf("weights of %v: %v", v, err)
			}
		}
		// The evaluator is as good as before.
		if err := f.weights.Write(f.flat); err != nil {
			t.Fatal(err)
		}
		evaluate(t, w, drawn(3))
	})
}

func TestWeightSharingRefusesWhatIsNotInTheSpace(t *testing.T) {
	eachForm(t, 16, func(t *testing.T, f *fixture) {
		w := f.sharing(t, score.SharingOptions{})
		for _, a := range []space.Architecture{{0, 0, 0}, {0, 0, 0, 0, 0, 5}} {
			if _, err := w.Evaluate(context.Background(), []space.Architecture{{1, 1, 1, 1, 1, 1}, a}); err == nil {
				t.Errorf("%v has a score", a)
			}
		}
	})
}

func TestScoringEndsWithTheContext(t *testing.T) {
	eachForm(t, 16, func(t *testing.T, f *fixture) {
		w := f.sharing(t, score.SharingOptions{})
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := w.Evaluate(ctx, drawn(5)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		evaluate(t, w, drawn(2))
	})
}

func TestCrossEntropy(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		name    string
		logits  []float32
		labels  []int64
		loss    float64
		correct int
	}{
		{"no images", nil, nil, 0, 0},
		{"equal logits: log of the number of classes", []float32{2, 2, 2, 2}, []int64{3}, math.Log(4), 0},
		{"of equal logits the first counts as largest", []float32{2, 2, 2, 2}, []int64{0}, math.Log(4), 1},
		{"odds of three to one", []float32{float32(math.Log(3)), 0}, []int64{0}, math.Log(4.0 / 3), 1},
		{"the same, missed", []float32{float32(math.Log(3)), 0}, []int64{1}, math.Log(4), 0},
		{"losses of rows are summed", []float32{0, 0, 0, 0}, []int64{1, 0}, 2 * math.Log(2), 1},
		{"large logits do not overflow", []float32{1e4, 0}, []int64{1}, 1e4, 0},
		{"small ones do not vanish", []float32{-1e4, -1e4 - 1}, []int64{0}, math.Log(1 + math.Exp(-1)), 1},
		{"an impossible class", []float32{0, -inf}, []int64{0}, 0, 1},
	} {
		loss, correct := score.CrossEntropy(c.logits, c.labels)
		if math.Abs(loss-c.loss) > 1e-6*max(1, c.loss) || correct != c.correct {
			t.Errorf("%s: loss %v and %d correct, want %v and %d", c.name, loss, correct, c.loss, c.correct)
		}
	}
	for _, logits := range [][]float32{{inf, 0}, {float32(math.NaN()), 0}, {0, float32(math.NaN())}, {-inf, 0}} {
		if loss, _ := score.CrossEntropy(logits, []int64{0}); !math.IsNaN(loss) && !math.IsInf(loss, 0) {
			t.Errorf("logits %v have the loss %v", logits, loss)
		}
	}
}
