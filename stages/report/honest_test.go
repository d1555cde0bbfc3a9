package report_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/internal/browsertest"
	"github.com/plateau-nas/plateau/stages/report"
	"github.com/plateau-nas/plateau/stages/result"
)

// honest returns the example with unequal classes, mistakes and near copies.
func honest(t *testing.T) report.Content {
	t.Helper()
	c := example(t)
	c.Mistakes = 24
	test := c.Dataset.Test
	m := c.Metrics
	m.Count, m.Top1, m.Mistakes = test.Count, float64(test.Count-3)/float64(test.Count), nil
	for i, n := range test.ClassCounts(len(c.Dataset.Classes)) {
		m.PerClass[i].Count = n
	}
	for i, p := range []float64{0.998, 0.71, 0.42} {
		m.Mistakes = append(m.Mistakes, result.Mistake{
			Image: 7 * i, File: "plain disk/holidays in the mountains/IMG_20240817_1654" + string(rune('0'+i)) + ".jpeg", True: c.Dataset.Classes[test.Labels[7*i]],
			Predicted: "plain cross", Probability: p, OfTrue: (1 - p) / 2,
		})
	}
	m.Balanced = &result.Balanced{Top1: 0.871, Low: 0.801, High: 0.912, Largest: "plain disk", Share: 0.44, Smallest: 3, Most: 24}
	c.Dataset.Near = &dataset.Near{Images: 5, Across: 3, Moved: 2, Pairs: []dataset.NearPair{
		{A: "plain disk/holidays in the mountains/IMG_20240817_165401.jpeg", B: "plain disk/holidays in the mountains/IMG_20240817_165401 (copy, smaller).jpeg", Alike: 0.998, Across: true},
		{A: "plain ring/1.png", B: "plain ring/2.png", Alike: 0.97}}}
	folds := *m
	folds.Split, folds.Count, folds.Top1, folds.Right = result.SplitFolds, 100, 0.87, nil
	folds.Mistakes = []result.Mistake{{Image: 0, File: "a.png", True: "plain bar", Predicted: "plain ring", Probability: 0.9}, {Image: 39, True: "plain bar", Predicted: "plain ring", Probability: 0.9}, {Image: 99, True: "plain bar", Predicted: "plain ring", Probability: 0.8}}
	c.Folds = &result.Folds{K: 2, Parts: []result.Fold{{Train: 50, Test: 50, Top1: 0.86, Loss: 0.5}, {Train: 50, Test: 50, Top1: 0.88, Loss: 0.4}}, Metrics: &folds}
	c.Curve = &result.Curve{Steps: 400, Count: 60, Gain: 0.031, GainLow: 0.01, GainHigh: 0.06, Sentence: "Twice as many training pictures (80) would probably add about 3.1 points of accuracy (95% interval +1.0 to +6.0, from 60 test images).",
		Points: []result.CurvePoint{{Images: 10, Epochs: 40, Top1: 0.7, Low: 0.57, High: 0.8, Loss: 1}, {Images: 20, Epochs: 20, Top1: 0.8, Low: 0.68, High: 0.88, Loss: 0.8}, {Images: 40, Epochs: 10, Top1: 0.87, Low: 0.76, High: 0.93, Loss: 0.5}}}
	return c
}

func TestPageShowsMistakes(t *testing.T) {
	c := honest(t)
	page := render(t, c)
	for _, want := range []string{
		"95.0% top-1 accuracy on 60 test images of shapes 95% interval 86.3 to 98.3; balanced accuracy 87.1% (80.1 to 91.2), always saying plain disk 44.0%",
		"Classes are unequal: the largest has 24 test images, the smallest 3. The balanced accuracy, the mean over classes, is 87.1% (95% interval 80.1 to 91.2); always saying plain disk would be right for 44.0% of the images and has a balanced accuracy of 10.0%.",
		"All 3 images that it gets wrong, those first of which it is surest.", "taken for plain cross 99.8%; 0.1% for the true class", "IMG_20240817_16540.jpeg",
		"Cross-validated 87.0% of all 100 images; 79.0 to 92.2", "trained 2 times from scratch, each time without one part of all 100 images, and measured on that part: 87.0% of them are right (95% interval 79.0 to 92.2).",
		"Would more pictures help? Twice as many training pictures (80) would probably add about 3.1 points", "40 10 87.0% 76.0 to 93.0 0.500",
		"5 pictures are nearly the same as another: rescaled, compressed again or cropped a little. 3 pictures were across the split between training and test when it was drawn first; near copies are kept on one side.",
		"A score is minus the loss (cross-entropy) of the architecture with the shared weights on validation images (20 of shapes), which these weights were not trained on: higher is better",
		"Own score −0.529 minus the loss on validation images",
	} {
		if !strings.Contains(text(page), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if n := len(regexp.MustCompile(`<li><img src="data:image/png;base64,`).FindAllString(page, -1)); n != 6 {
		t.Errorf("%d mistakes are shown", n)
	}
	c.Mistakes = 2
	if page := text(render(t, c)); !strings.Contains(page, "3 images wrong of 60. Shown are those of which the model is surest") {
		t.Error("the page does not say that there are more")
	}
	// Of another data set's images none can be shown.
	c.Metrics.Dataset, c.Folds = "others", nil
	if page := render(t, c); strings.Contains(page, `<li><img`) || !strings.Contains(page, "IMG_20240817_16540.jpeg") {
		t.Error("images of another data set are shown")
	}
}

// Drawing and tables have one name for an edge.
func TestEdgesHaveOneName(t *testing.T) {
	page := render(t, example(t))
	for _, old := range []string{"3←0", "1←0", "←0"} {
		if strings.Contains(page, old) {
			t.Errorf("the page has an edge %s, whose nodes the drawing calls otherwise", old)
		}
	}
	for _, name := range []string{`<th scope="row">1←in</th>`, `<th scope="row">out←2</th>`} {
		if !strings.Contains(page, name) {
			t.Errorf("the page has no %s", name)
		}
	}
}

// The page has no fault that axe finds and is not wider than the window, on a desk and on a phone, in light and dark; wide tables scroll by the
// keyboard; and nothing is cut when it is printed.
func TestPageInABrowser(t *testing.T) {
	b := browsertest.Open(t)
	for name, c := range map[string]report.Content{"report": honest(t), "report-many": many(t)} {
		path := filepath.Join(t.TempDir(), "report.html")
		if err := os.WriteFile(path, []byte(render(t, c)), 0o666); err != nil {
			t.Fatal(err)
		}
		b.Visit("file://" + path)
		b.Await("Origin")
		b.Eval(`document.querySelectorAll("details").forEach((d) => d.open = true)`)
		b.Look(name)
		b.Show(390, false)
		if cut := b.Eval(`[...document.querySelectorAll("*")].filter((e) => getComputedStyle(e).overflowX == "auto" && e.scrollWidth > e.clientWidth + 1 && e.tabIndex < 0).map((e) => e.className).join(", ")`); cut != "" {
			t.Errorf("%s: parts that only a mouse scrolls: %s", name, cut)
		}
		moved := b.Eval(`(() => { const e = [...document.querySelectorAll(".wide")].find((e) => e.scrollWidth > e.clientWidth + 40); if (!e) return "none"; e.focus(); return document.activeElement == e ? "focused" : "not focused"; })()`)
		if moved != "focused" {
			t.Errorf("%s: a wide table cannot be focused: %s", name, moved)
		}
		b.Print(718) // A4 without its margins
		if cut := b.Eval(`[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.tagName + "." + (e.getAttribute("class") || "")).slice(0, 5).join(", ")`); cut != "" {
			t.Errorf("%s: cut when it is printed: %s", name, cut)
		}
		if color := b.Eval(`getComputedStyle(document.body).backgroundColor`); color != "rgb(255, 255, 255)" {
			t.Errorf("%s: printed on %s", name, color)
		}
	}
}

// many returns an example with a hundred classes.
func many(t *testing.T) report.Content {
	c := honest(t)
	c.Dataset, c.Metrics.PerClass, c.Metrics.Confusion, c.Metrics.Count, c.Metrics.Top1 = nil, nil, nil, 10000, 0.75
	for i := range 100 {
		row := make([]int, 100)
		row[i], row[(i*7+1)%100], row[(i*3+5)%100] = 50+i%50, i%9, i%4
		c.Metrics.PerClass = append(c.Metrics.PerClass, result.ClassTop1{Class: "class " + string(rune('a'+i/10)) + string(rune('0'+i%10)), Count: 100, Top1: float64(row[i]) / 100})
		c.Metrics.Confusion = append(c.Metrics.Confusion, row)
	}
	return c
}
