package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"image/png"

	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/result"
)

const (
	// gallerySide is the largest side, in pixels, of a picture in the gallery.
	gallerySide = 96
	// plainSide is up to which side pictures are embedded as they are; larger ones as JPEG.
	plainSide = 48
)

// galleryView shows pictures that the model gets wrong.
type galleryView struct {
	Summary string
	Wrong   []wrongPicture
}

type wrongPicture struct {
	Picture                           template.URL // "" where the images are not at hand
	Width, Height                     int
	True, Predicted, Probability, Own string
	File                              string
}

func newGallery(c Content) (*galleryView, error) {
	m := c.Metrics
	if len(m.Mistakes) == 0 || c.Mistakes == 0 {
		return nil, nil
	}
	shown := m.Mistakes[:min(c.Mistakes, len(m.Mistakes))]
	wrong := m.Count - hits(m)
	v := &galleryView{Summary: fmt.Sprintf("%s wrong of %s. Shown are those of which the model is surest: look here for wrong labels, pictures of two things, and what the center square or the small size hides.",
		capital(words.Count(wrong, "image")), words.Grouped(m.Count))}
	if len(shown) == wrong {
		v.Summary = fmt.Sprintf("All %s that it gets wrong, those first of which it is surest.", words.Count(wrong, "image"))
	}
	images := imagesOf(c.Dataset, m)
	for _, w := range shown {
		p := wrongPicture{True: w.True, Predicted: w.Predicted, Probability: percent(w.Probability), Own: percent(w.OfTrue), File: w.File}
		if p.Predicted == "" {
			p.Predicted = "a class that the data set does not have"
		}
		if images != nil {
			var err error
			if p.Picture, p.Width, p.Height, err = embedded(images, w.Image); err != nil {
				return nil, fmt.Errorf("showing image %d: %w", w.Image, err)
			}
		}
		v.Wrong = append(v.Wrong, p)
	}
	return v, nil
}

// imagesOf returns the images that metrics are about; nil where they are not at hand.
func imagesOf(d *dataset.Dataset, m *result.Metrics) *dataset.Images {
	if d == nil || d.Name != m.Dataset {
		return nil
	}
	images := map[string]*dataset.Images{"test": d.Test, "valid": d.Valid, "train": d.Train}[m.Split]
	if images == nil || images.Count != m.Count {
		return nil
	}
	return images
}

// embedded returns image i as an address that holds all of it.
func embedded(images *dataset.Images, i int) (at template.URL, width, height int, err error) {
	if i < 0 || i >= images.Count {
		return "", 0, 0, fmt.Errorf("there are %d", images.Count)
	}
	if largest := max(images.Width, images.Height); largest > gallerySide {
		values, err := images.Read(i)
		if err != nil {
			return "", 0, 0, err
		}
		one := &dataset.Images{Count: 1, Channels: images.Channels, Height: images.Height, Width: images.Width, Pixels: values, Labels: make([]int64, 1)}
		if images, err = one.Downscale(max(1, one.Height*gallerySide/largest), max(1, one.Width*gallerySide/largest)); err != nil {
			return "", 0, 0, err
		}
		i = 0
	}
	picture := images.Image(i)
	if at, err = address(picture); err != nil {
		return "", 0, 0, err
	}
	return at, images.Width, images.Height, nil
}

func address(picture image.Image) (template.URL, error) {
	var b bytes.Buffer
	kind := "png"
	if size := picture.Bounds(); max(size.Dx(), size.Dy()) <= plainSide {
		e := png.Encoder{CompressionLevel: png.BestCompression}
		if err := e.Encode(&b, picture); err != nil {
			return "", err
		}
	} else {
		kind = "jpeg"
		if err := jpeg.Encode(&b, picture, &jpeg.Options{Quality: 85}); err != nil {
			return "", err
		}
	}
	return template.URL("data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(b.Bytes())), nil
}
