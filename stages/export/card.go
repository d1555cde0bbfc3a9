package export

import (
	"fmt"
	"math"
	"strings"

	"github.com/plateau-nas/plateau/exporter/quantize"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/stat"
	"github.com/plateau-nas/plateau/stages/supernet"
)

const (
	// level is that of the confidence intervals.
	level = 0.95
	// cardClasses is how many classes a card lists; labels.txt has all.
	cardClasses = 200
	// fewImages is a number of test images below which a class's accuracy says little.
	fewImages = 30
)

// card writes MODEL.md.
func card(m *Model) ([]byte, error) {
	p, err := m.Preprocessing()
	if err != nil {
		return nil, err
	}
	sp, err := space.ByName(m.Network.Space)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	d, classes := m.data, len(m.data.Classes)
	line("# Classifier of %s\n", inline(d.Name))
	line("`model.onnx` says which of %s a picture shows. It takes one picture or a batch of them.\n", words.Count(classes, "class"))
	line("Accuracy on %s that it had not seen: **%s**.\n", words.Count(m.Test.Count, "test image"), share(m.Test.Top1, m.Test.Count))

	line("## Use\n")
	line("    plateau predict . photo.jpg        # classes and probabilities")
	line("    plateau serve .                    # a page to try it with pictures and the camera\n")
	line("In a program of one's own, by ONNX Runtime: `predict.go`, `predict.py`, `predict.cjs` (Node), `predict.html` (browser),")
	line("`Predict.java` and `predict.rs` each go from a picture to its class, and say in their first lines what they need.\n")

	line("## What it takes\n")
	image := m.Network.Image
	line("`%s`, float32 [batch, %d, %d, %d]: %s; each number is %s.", p.Input.Name, image[0], image[1], image[2], strings.Join(p.Input.Channels, ", "), numbers(m.settings.Input, p))
	if p.Picture == nil {
		line("The data came as images of this size; a picture of another shape has to be brought to it first. The programs beside the model take squares alone.\n")
	} else {
		line("A picture becomes that in these steps, which `preprocess.json` has for programs:\n")
		step := 1
		say := func(format string, args ...any) {
			line("%d. "+format, append([]any{step}, args...)...)
			step++
		}
		if p.Picture.Orientation == "exif" {
			say("It is turned upright, as the camera has noted in EXIF data.")
		}
		say("What is transparent becomes white.")
		if p.Picture.Center == 1 {
			say("The square in its center is taken.")
		} else {
			say("The square in its center is taken, and of that the middle, %v of the side.", p.Picture.Center)
		}
		say("It is brought to %dx%d pixels: each is the mean over the area that it covers, or lies between the nearest ones where the picture is smaller; rounded to whole numbers.", p.Picture.Size, p.Picture.Size)
		if image[0] == 1 {
			say("It becomes gray: (299 red + 587 green + 114 blue + 500) / 1000, rounded down.")
		}
		line("")
	}

	line("## What it gives\n")
	if !m.settings.Softmax {
		line("- `%s`, float32 [batch, %d]: one score a class, any number.", supernet.Logits, classes)
	}
	line("- `%s`, float32 [batch, %d]: one probability a class; they sum to one.\n", Probabilities, classes)
	line("The order is that of `labels.txt`.\n")

	m.cardClasses(line)

	line("## What it was trained on\n")
	line("- Data: %s: %s.", inline(d.Name), inline(d.Source))
	line("- %s, %s and %s.", words.Count(count(d.Train), "training image"), words.Count(count(d.Valid), "validation image"), words.Count(count(d.Test), "test image"))
	if n := len(m.history); n > 0 {
		last := m.history[n-1]
		line("- %s; in the last one %.2f%% of the training images, as they were varied for training, were right.", words.Count(last.Epoch, "epoch"), 100*last.TrainAccuracy)
	}
	line("- Network: `%s` of the search space %s; %s parameters, %s multiply-adds a picture.\n", m.Network.Architecture, sp.Name, words.Grouped(m.cost.Parameters), words.Grouped(m.cost.MultiplyAdds))

	line("## What was measured\n")
	line("- Accuracy: %s. The interval is Wilson's at %.0f%%: it says what so few or many test images leave open, not what pictures of another kind bring.", share(m.Test.Top1, m.Test.Count), 100*level)
	if bal := m.Test.Balanced; bal.Unequal() {
		line("- Balanced accuracy, the mean over classes: %.1f%% (%.1f to %.1f). Classes are unequal: always saying %s is right for %.1f%% of the test images.",
			100*bal.Top1, 100*bal.Low, 100*bal.High, inline(bal.Largest), 100*bal.Share)
	}
	line("- Loss (cross-entropy) on the same images: %.4f; that of equal probabilities is %.4f.", m.Test.Loss, math.Log(float64(classes)))
	line("- Before it was written the file was compared with the network that was trained; `checks.json` has the results. Latency, if it was")
	line("  measured, is in the results of the stage `evaluate`; it belongs to the machine that measured it.\n")

	m.cardPrecisions(line)

	line("## Limits\n")
	line("- Every picture gets one of these classes, also one that shows none of them. A low probability is a warning; a high one is no proof.")
	line("- Probabilities are as the network gives them. Whether 0.9 is right nine times of ten was not measured.")
	if d.View != nil {
		line("- The test images are of the same collection as the training images. Pictures of another camera, place or season may do worse.")
	} else {
		line("- The test images are of the same data set as the training images. Pictures from elsewhere may do worse.")
	}
	if p.Picture != nil {
		line("- What lies outside the center square is not seen, and what is smaller than 1/%d of its side is lost.", p.Picture.Size)
	}
	if weak := m.fewTested(); weak > 0 {
		line("- Of %s there were fewer than %d test images; what the table says of each is rough.", words.Count(weak, "class"), fewImages)
	}
	return []byte(b.String()), nil
}

// cardClasses lists the classes with what was measured of each.
func (m *Model) cardClasses(line func(string, ...any)) {
	line("## Classes\n")
	line("| number | class | training images | test images | right of these (95%% interval) |")
	line("|--:|---|--:|--:|---|")
	trained := make([]int, len(m.data.Classes))
	for _, im := range []*dataset.Images{m.data.Train, m.data.Valid} {
		if im != nil {
			for c, n := range im.ClassCounts(len(trained)) {
				trained[c] += n
			}
		}
	}
	for i, c := range m.Test.PerClass {
		if i == cardClasses {
			line("\n%d more classes are in `labels.txt`.", len(m.Test.PerClass)-i)
			break
		}
		right := "not tested"
		if c.Count > 0 {
			right = share(c.Top1, c.Count)
		}
		line("| %d | %s | %d | %d | %s |", i, cell(c.Class), trained[i], c.Count, right)
	}
	line("")
}

// cardPrecisions puts the files in other precisions beside the one in float32.
func (m *Model) cardPrecisions(line func(string, ...any)) {
	p := m.Precisions
	if p == nil {
		return
	}
	line("## Other precisions\n")
	line("The same network in fewer bits. These files take and give the same as `model.onnx`; a program uses one by its name.\n")
	line("| file | bytes | accuracy (95%% interval) | images in another class | ms, one image | ms an image, in batches of %d |", p.Batch)
	line("|---|--:|---|--:|--:|--:|")
	float := p.Of(string(Float32))
	for _, o := range p.Models {
		changed := "-"
		if o.Name != float.Name {
			changed = fmt.Sprintf("%d of %d", o.Changed, p.Images)
		}
		line("| `%s` | %s | %s | %s | %.3f | %.3f |", PrecisionFile("model.onnx", Precision(o.Name)), words.Grouped(o.SizeBytes), share(o.Top1, p.Images), changed, o.LatencyMS, o.BatchLatencyMS)
	}
	line("")
	for _, name := range m.settings.Also {
		o := p.Of(string(name))
		line("- %s: of %s it has %d right that float32 has wrong, and %d wrong that float32 has right (McNemar's exact test: p = %.2g).", name, words.Count(p.Images, "test image"), o.Gained, o.Lost, o.P)
		for _, w := range m.warnings(name) {
			line("- %s.", w)
		}
		switch {
		case name == Int8:
			line("- int8: weights by channel, symmetric, of at most %d, which processors without instructions for dot products of bytes add up right; values asymmetric, with ranges from %s.", quantize.WeightLimit, words.Count(p.Calibration, "training image"))
		case name == Float16 && p.Provider == runtime.ProviderCPU:
			line("- float16: most processors compute it in float32, so that it saves space and no time here. It is meant for graphics and mobile processors.")
		}
	}
	line("- Times are medians of runs in turns, by %s on %s with %s, while the model was exported. They belong to that machine.\n", p.Library, p.Provider, words.Count(p.Threads, "thread"))
}

// fewTested is the number of classes with few test images.
func (m *Model) fewTested() int {
	n := 0
	for _, c := range m.Test.PerClass {
		if c.Count < fewImages {
			n++
		}
	}
	return n
}

// share writes an accuracy with its interval.
func share(top1 float64, n int) string {
	right := int(top1*float64(n) + 0.5)
	i := stat.Wilson(right, n, level)
	return fmt.Sprintf("%.1f%% (%.1f to %.1f; %d of %d)", 100*top1, 100*i.Low, 100*i.High, right, n)
}

func numbers(input evaluate.Input, p Preprocessing) string {
	switch input {
	case evaluate.InputUnit:
		return "a pixel's value divided by 255"
	case evaluate.InputNormalized:
		return fmt.Sprintf("(pixel / 255 - mean) / std by channel, with the means %.4g and the standard deviations %.4g", p.Value.Mean, p.Value.Std)
	}
	return "a pixel's value from 0 to 255"
}

func count(im *dataset.Images) int {
	if im == nil {
		return 0
	}
	return im.Count
}

// inline makes a text one line of Markdown that means nothing but itself.
func inline(text string) string {
	return strings.NewReplacer("\n", " ", "\r", " ", "\\", `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "<", `\<`, "[", `\[`, "#", `\#`).Replace(text)
}

// cell is inline for a table.
func cell(text string) string { return strings.ReplaceAll(inline(text), "|", `\|`) }
