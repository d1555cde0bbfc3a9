package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/draw"
	"image/png"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/internal/words"
)

// samplesView shows a few images of each class.
type samplesView struct {
	Summary string
	Unequal string // says how unequal classes are; "" where they are not
	Classes []classImages
	Near    *nearView
}

// nearView shows pictures that are nearly the same.
type nearView struct {
	Summary string
	Pairs   []dataset.NearPair
}

type classImages struct {
	Name    string
	Picture template.URL // the images side by side, as one PNG
	Width   int          // in pixels of the images
	Height  int
}

func newSamples(c Content) (*samplesView, error) {
	if c.Dataset == nil || c.Images == 0 {
		return nil, nil
	}
	d := c.Dataset
	shown := min(len(d.Classes), mostClasses)
	v := &samplesView{Summary: fmt.Sprintf("%s. %s of %d×%d pixels for training, %s for validation, %s for testing. Shown are test images, as the model gets them before normalization.",
		capital(d.Source), words.Count(d.Train.Count, "image"), d.Train.Width, d.Train.Height, words.Grouped(d.Valid.Count), words.Grouped(d.Test.Count))}
	if shown < len(d.Classes) {
		v.Summary += fmt.Sprintf(" The first %d of %d classes.", shown, len(d.Classes))
	}
	v.Unequal, v.Near = aboutCounts(d), newNear(d)
	for label, name := range d.Classes[:shown] {
		strip, err := filmstrip(d.Test, int64(label), c.Images)
		if err != nil {
			return nil, fmt.Errorf("drawing images of class %s: %w", name, err)
		}
		if strip == nil {
			continue
		}
		var b bytes.Buffer
		e := png.Encoder{CompressionLevel: png.BestCompression}
		if err := e.Encode(&b, strip); err != nil {
			return nil, fmt.Errorf("drawing images of class %s: %w", name, err)
		}
		v.Classes = append(v.Classes, classImages{
			Name: name, Width: strip.Bounds().Dx(), Height: strip.Bounds().Dy(),
			Picture: template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())),
		})
	}
	return v, nil
}

// filmstrip puts the first n images of a class side by side, with a transparent gap between them. It returns nil when the class
// has none.
func filmstrip(im *dataset.Images, label int64, n int) (image.Image, error) {
	var chosen []image.Image
	for i := 0; len(chosen) < n; i++ {
		at := slices.Index(im.Labels[i:], label)
		if at < 0 {
			break
		}
		i += at
		one := im.Image(i)
		if one == nil {
			return nil, fmt.Errorf("there is no image %d", i)
		}
		chosen = append(chosen, one)
	}
	if len(chosen) == 0 {
		return nil, nil
	}
	gap := max(1, im.Width/16)
	strip := image.NewNRGBA(image.Rect(0, 0, n*im.Width+(n-1)*gap, im.Height))
	for i, one := range chosen {
		at := image.Pt(i*(im.Width+gap), 0)
		draw.Draw(strip, image.Rectangle{Min: at, Max: at.Add(one.Bounds().Size())}, one, one.Bounds().Min, draw.Src)
	}
	return strip, nil
}

// unequalClasses is by what the largest class is larger than the smallest for that to be said.
const unequalClasses = 1.5

// aboutCounts says how many images the classes have, where that differs.
func aboutCounts(d *dataset.Dataset) string {
	counts := make([]int, len(d.Classes))
	for _, im := range []*dataset.Images{d.Train, d.Valid, d.Test} {
		for c, n := range im.ClassCounts(len(counts)) {
			counts[c] += n
		}
	}
	order := make([]int, len(counts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return counts[b] - counts[a] })
	most, least := order[0], order[len(order)-1]
	if float64(counts[most]) < unequalClasses*float64(counts[least]) {
		return ""
	}
	var list []string
	for _, c := range order {
		list = append(list, fmt.Sprintf("%s %s", d.Classes[c], words.Grouped(counts[c])))
	}
	if len(list) > mostClasses {
		list = append(append(list[:mostClasses/2], fmt.Sprintf("%d more", len(list)-mostClasses)), list[len(list)-mostClasses/2:]...)
	}
	return fmt.Sprintf("Classes are unequal, all splits together: %s.", strings.Join(list, ", "))
}

func newNear(d *dataset.Dataset) *nearView {
	n := d.Near
	if n == nil {
		return nil
	}
	if n.Images == 0 {
		return &nearView{Summary: "No two pictures are nearly the same."}
	}
	v := &nearView{Pairs: n.Pairs}
	v.Summary = fmt.Sprintf("%s nearly the same as another: rescaled, compressed again or cropped a little.", capital(words.Count(n.Images, "picture"))+map[bool]string{true: " is", false: " are"}[n.Images == 1])
	switch {
	case n.Across == 0:
		v.Summary += " None has one on the other side of the split between training and test."
	case n.Apart == n.Across:
		v.Summary += fmt.Sprintf(" %s one on the other side of the split between training and test, so the accuracy is likely to be too high.", capital(words.Count(n.Across, "picture"))+map[bool]string{true: " has", false: " have"}[n.Across == 1])
	default:
		v.Summary += fmt.Sprintf(" %s across the split between training and test when it was drawn first; %s", capital(words.Count(n.Across, "picture"))+map[bool]string{true: " was", false: " were"}[n.Across == 1],
			map[bool]string{true: fmt.Sprintf("the training pictures (%d) were left out.", n.LeftOut), false: "near copies are kept on one side."}[n.LeftOut > 0])
		if n.Apart > 0 {
			v.Summary += fmt.Sprintf(" %s still on both sides, so the accuracy is likely to be too high.", capital(words.Count(n.Apart, "picture"))+map[bool]string{true: " is", false: " are"}[n.Apart == 1])
		}
	}
	return v
}
