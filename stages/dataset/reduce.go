package dataset

import "fmt"

// Reduce returns the dataset with every image reduced to height x width pixels by area, and the normalization of what
// became of the training split. A dataset that has that size already is returned as it is.
func (d *Dataset) Reduce(height, width int) (*Dataset, error) {
	if d.Train.Height == height && d.Train.Width == width {
		return d, nil
	}
	out := *d
	for _, split := range []struct {
		name string
		from *Images
		to   **Images
	}{{"training", d.Train, &out.Train}, {"validation", d.Valid, &out.Valid}, {"test", d.Test, &out.Test}} {
		im, err := split.from.Downscale(height, width)
		if err != nil {
			return nil, fmt.Errorf("reduce %s images of %s: %w", split.name, d.Name, err)
		}
		*split.to = im
	}
	out.Mean, out.Std = out.Train.statistics(nil)
	return &out, nil
}
