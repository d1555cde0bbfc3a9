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

	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/internal/words"
)

// samplesView shows a few images of each class.
type samplesView struct {
	Summary string
	Classes []classImages
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
