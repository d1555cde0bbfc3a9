package dataset

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
)

// Dataset is a classification task: images in three splits.
type Dataset struct {
	Name    string   // a short name: "cifar10"
	Source  string   // where the images are from and what was done to them, in one line
	Classes []string // class names by label
	// Mean and Std are the mean and the standard deviation of each channel of the training split, with pixels
	// scaled to 0..1. They normalize every split, and stay the same when training and validation split are joined.
	Mean, Std []float32
	// Train is what weights learn from, Valid is what a search compares architectures on (it may be empty), Test
	// is for the final measurement alone. The images of Test are as networks take them; those of Train and Valid may be
	// larger squares, for Augment.ResizedCrop to cut parts out of.
	Train, Valid, Test *Images
	// View is what the test images show of pictures, for those that a model made with this data set is to classify later. Nil when they
	// were not read from pictures. Its Size is 0: it is that of Test.
	View *View
	// Near says what was found of pictures that are nearly the same; nil where nobody has looked.
	Near *Near
}

// TrainValid returns the training and the validation split as one: what the winner of a search learns from. Normalize it
// with the same Mean and Std. Without a validation split it shares the pixels of the training split.
func (d *Dataset) TrainValid() *Images {
	out, err := d.Train.Join(d.Valid)
	if err != nil || out == d.Train {
		same := *d.Train
		return &same
	}
	return out
}

// Check returns an error unless the dataset is whole: two classes or more with names of their own, a training and
// a test split with at least one image each, splits of one image size (the square images of the test may be smaller), labels within range, and finite statistics.
func (d *Dataset) Check() error {
	if err := checkClasses(d.Classes); err != nil {
		return err
	}
	for _, s := range d.splits() {
		if err := s.images.check(len(d.Classes)); err != nil {
			return fmt.Errorf("%s split: %w", s.name, err)
		}
		if s.images.Count == 0 && s.images != d.Valid {
			return fmt.Errorf("%s split: no images", s.name)
		}
		a, b := s.images, d.Train
		// Training images may be kept larger, to cut parts out of them.
		if a == d.Test && a.Channels == b.Channels && a.Height == a.Width && b.Height == b.Width && a.Height < b.Height {
			continue
		}
		if a.Channels != b.Channels || a.Height != b.Height || a.Width != b.Width {
			return fmt.Errorf("%s split: images of %dx%dx%d, want %dx%dx%d as in the train split",
				s.name, a.Channels, a.Height, a.Width, b.Channels, b.Height, b.Width)
		}
	}
	if len(d.Mean) != d.Train.Channels || len(d.Std) != d.Train.Channels {
		return fmt.Errorf("%d means and %d standard deviations for %d channels", len(d.Mean), len(d.Std), d.Train.Channels)
	}
	for c := range d.Mean {
		if m, s := float64(d.Mean[c]), float64(d.Std[c]); !(m >= 0 && m <= 1) || !(s > 0 && s <= 1) {
			return fmt.Errorf("channel %d has mean %v and standard deviation %v, want values of 0 to 1 and a deviation above 0", c, m, s)
		}
	}
	return nil
}

type split struct {
	name   string
	images *Images
}

func (d *Dataset) splits() []split {
	return []split{{"train", d.Train}, {"valid", d.Valid}, {"test", d.Test}}
}

func checkClasses(names []string) error {
	if len(names) < 2 {
		return fmt.Errorf("%d classes, want at least 2", len(names))
	}
	for i, n := range names {
		if n == "" {
			return fmt.Errorf("class %d has no name", i)
		}
		if first := slices.Index(names, n); first != i {
			return fmt.Errorf("classes %d and %d are both named %q", first, i, n)
		}
	}
	return nil
}

// statistics returns the mean and the standard deviation of each channel, with pixels scaled to 0..1. A channel
// without any variation gets the deviation of one gray level, so that it can be divided by. The sums are of
// whole numbers, so the result does not depend on the order of the images. used, when it is not nil, is told pixels that are
// not needed any more. The images are not encoded.
func (im *Images) statistics(used func(pixels []byte)) (mean, std []float32) {
	m := newMoments(im.Channels, im.Height*im.Width)
	done := 0
	for i := range im.Count {
		m.add(im.at(i))
		if end := (i + 1) * im.Values(); end-done >= stretchBytes || i+1 == im.Count {
			if used != nil {
				used(im.Pixels[done:end])
			}
			done = end
		}
	}
	return m.statistics(im.Count)
}

// measure is statistics for images that may be encoded.
func (im *Images) measure(ctx context.Context, used func(pixels []byte)) (mean, std []float32, err error) {
	if im.Encoded == nil {
		mean, std = im.statistics(used)
		return mean, std, nil
	}
	m := newMoments(im.Channels, im.Height*im.Width)
	var mu sync.Mutex
	err = im.eachDecoded(ctx, func(_ int, values []uint8) {
		one := newMoments(m.channels, m.plane)
		one.add(values)
		mu.Lock()
		defer mu.Unlock()
		m.join(one)
	})
	if err != nil {
		return nil, nil, err
	}
	mean, std = m.statistics(im.Count)
	return mean, std, nil
}

// moments are the sums of the values of images and of their squares, by channel.
type moments struct {
	channels, plane int
	sum, squares    []uint64
}

func newMoments(channels, plane int) *moments {
	return &moments{channels, plane, make([]uint64, channels), make([]uint64, channels)}
}

func (m *moments) add(values []uint8) {
	for c := range m.channels {
		var sum, squares uint64
		for _, v := range values[c*m.plane : (c+1)*m.plane] {
			sum += uint64(v)
			squares += uint64(v) * uint64(v)
		}
		m.sum[c] += sum
		m.squares[c] += squares
	}
}

func (m *moments) join(other *moments) {
	for c := range m.channels {
		m.sum[c] += other.sum[c]
		m.squares[c] += other.squares[c]
	}
}

// statistics returns mean and deviation over so many images.
func (m *moments) statistics(images int) (mean, std []float32) {
	mean, std = make([]float32, m.channels), make([]float32, m.channels)
	for c := range m.channels {
		sum, squares := m.sum[c], m.squares[c]
		n := float64(max(1, images*m.plane))
		m := float64(sum) / n
		variance := float64(squares)/n - m*m
		mean[c] = float32(m / 255)
		std[c] = float32(max(math.Sqrt(max(variance, 0)), 1) / 255)
	}
	return mean, std
}
