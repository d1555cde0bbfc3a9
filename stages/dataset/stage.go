package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/pipeline/seed"
)

// Kind returns the stage kind "dataset".
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name:    "dataset",
		Version: 5,
		Doc:     "Draws or reads labeled images, divides them into training, validation and test split, and writes them to one file.",
		Outputs: []pipeline.Output{{
			Name: "dataset", Type: "dataset", File: "dataset.safetensors",
			Doc: "Images, labels, class names and the statistics that normalize a pixel.",
		}},
		New: func() pipeline.Stage {
			s := DefaultSettings()
			return &s
		},
	}
}

var (
	_ pipeline.Stage         = (*Settings)(nil)
	_ pipeline.Fingerprinter = (*Settings)(nil)
)

// Run implements pipeline.Stage.
func (s *Settings) Run(ctx context.Context, job *pipeline.Job) (err error) {
	keep := &storage{folder: job.Scratch, limit: spilledBytes}
	defer func() { err = errors.Join(err, keep.close()) }()
	tell := listener{func(note string) { job.Info("%s", note) }, func(note string) { job.Warn("%s", note) }}
	d, err := makeDataset(ctx, *s, job.Seed, tell, keep)
	if err != nil {
		return err
	}
	counts := fmt.Sprintf("%d training, %d validation and %d test images of %dx%d", d.Train.Count, d.Valid.Count, d.Test.Count, d.Train.Width, d.Train.Height)
	if d.Test.Width != d.Train.Width {
		counts = fmt.Sprintf("%d training and %d validation images of %dx%d, and %d test images of %dx%d", d.Train.Count, d.Valid.Count, d.Train.Width, d.Train.Height, d.Test.Count, d.Test.Width, d.Test.Height)
	}
	job.Info("%s: %s", d.Name, counts)
	job.Info("%d classes: %s", len(d.Classes), abridge(d.Classes, 10))
	job.Info("normalization by channel: mean %s, standard deviation %s", decimals(d.Mean), decimals(d.Std))
	if d.Valid.Count == 0 && s.ValidFraction > 0 {
		job.Warn("there are no validation images (valid_fraction %v of %d): a search has nothing to compare architectures on", s.ValidFraction, d.Train.Count)
	}
	aboutImbalance(job, d)
	if n := d.Near; n != nil {
		job.Metric("near_copies", float64(n.Images))
		job.Metric("near_copies_across", float64(n.Across))
		job.Metric("near_copies_apart", float64(n.Apart))
	}
	if least := slices.Min(d.Train.ClassCounts(len(d.Classes))); least == 0 {
		job.Warn("some classes have no training image; raise train_images (now %d)", s.TrainImages)
	}
	if err := d.save(job.Output("dataset"), keep.forget); err != nil {
		return err
	}
	job.Summary(fmt.Sprintf("%s: %s in %d classes", d.Name, counts, len(d.Classes)))
	return nil
}

// Fingerprint implements pipeline.Fingerprinter: the SHA-256 of each file that is read, by its name, or of
// all files of each class. It does not change when the files are moved or unpacked.
func (s *Settings) Fingerprint(ctx context.Context) (map[string]string, error) {
	switch s.Source {
	case SourceFolder:
		return folderDigests(ctx, s.Path, s.testFolder())
	case SourceIDX:
		return idxDigests(ctx, s.Path)
	}
	format, read := s.format()
	if !read {
		return nil, nil
	}
	sums, err := format.open(s.Path).digests(ctx, format.files(s.label(format)))
	if err != nil {
		return nil, pathError(format, fmt.Errorf("read %s from %s: %w", format.title, s.Path, err))
	}
	return sums, nil
}

// Make makes the dataset that the settings describe. Everything random comes from the seed: what is drawn, which
// images are left out, and the division into training and validation split.
func Make(ctx context.Context, s Settings, from uint64) (*Dataset, error) {
	return makeDataset(ctx, s, from, listener{}, &storage{})
}

// makeDataset is Make; it tells what a person should know about the source, and keeps pixels where keep says.
func makeDataset(ctx context.Context, s Settings, from uint64, tell listener, keep *storage) (*Dataset, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("make dataset: %w", err)
	}
	d := &Dataset{Name: s.Source}
	var err error
	var copies []int64
	switch s.Source {
	case SourceShapes:
		err = d.drawShapes(ctx, s, from)
	case SourceFolder:
		copies, err = d.readFolder(ctx, s, from, tell, keep)
	case SourceIDX:
		err = d.readIDX(ctx, s, from)
	default:
		err = d.readCIFAR(ctx, s, from)
	}
	if err != nil {
		return nil, err
	}
	// Train holds training and validation images up to here.
	together, all := d.Train.Groups, d.Train
	if together == nil {
		together = copies
	}
	if d.Train, d.Valid, err = all.divide(s.ValidFraction, len(d.Classes), seed.New(from, "valid"), together, keep); err != nil {
		return nil, err
	}
	if d.checkShares(s) != nil && d.Near != nil {
		// Near copies that leave a class without any on one side may be apart here: no result is measured on validation images.
		if d.Train, d.Valid, err = all.divide(s.ValidFraction, len(d.Classes), seed.New(from, "valid"), copies, keep); err != nil {
			return nil, err
		}
	}
	if d.Train.Count == 0 {
		return nil, &pipeline.SettingError{Path: "valid_fraction", Err: fmt.Errorf("%v of %d images leaves none to train on", s.ValidFraction, d.Valid.Count)}
	}
	if s.Source == SourceFolder {
		if err := d.checkShares(s); err != nil {
			return nil, err
		}
	}
	if d.Mean, d.Std, err = d.Train.measure(ctx, keep.forget); err != nil {
		return nil, err
	}
	return d, nil
}

// unequal is by what the largest class is larger than the smallest for that to be said.
const unequal = 3

// aboutImbalance says how many images the classes have where that differs much.
func aboutImbalance(job *pipeline.Job, d *Dataset) {
	counts := make([]int, len(d.Classes))
	for _, part := range d.splits() {
		for c, n := range part.images.ClassCounts(len(counts)) {
			counts[c] += n
		}
	}
	least, most := 0, 0
	for c, n := range counts {
		if n < counts[least] {
			least = c
		}
		if n > counts[most] {
			most = c
		}
	}
	job.Metric("largest_class", float64(counts[most]))
	job.Metric("smallest_class", float64(counts[least]))
	if counts[least] == 0 || counts[most] < unequal*counts[least] {
		return
	}
	share := float64(counts[most]) / float64(d.Train.Count+d.Valid.Count+d.Test.Count)
	job.Warn("classes are unequal: %s has %d images, %s has %d; who always says %[1]s is right for %.0[5]f%% of all, so look at the balanced accuracy too, the mean over classes",
		d.Classes[most], counts[most], d.Classes[least], counts[least], 100*share)
}

func (d *Dataset) drawShapes(ctx context.Context, s Settings, from uint64) (err error) {
	count := func(n, standard int) int {
		if n == 0 {
			return standard
		}
		return n
	}
	d.Classes = ShapeClasses()
	d.Source = fmt.Sprintf("drawn shapes of %dx%d pixels, at most %d marks, noise up to %v", s.size(), s.size(), s.Shapes.Clutter, s.Shapes.Noise)
	if d.Train, err = Shapes(ctx, count(s.TrainImages, defaultShapes), s.size(), s.Shapes, seed.Derive(from, "shapes", "train")); err != nil {
		return err
	}
	d.Test, err = Shapes(ctx, count(s.TestImages, defaultTestShapes), s.size(), s.Shapes, seed.Derive(from, "shapes", "test"))
	return err
}

func (d *Dataset) readCIFAR(ctx context.Context, s Settings, from uint64) error {
	format, _ := s.format()
	train, test, classes, err := format.read(ctx, s.Path, s.label(format))
	if err != nil {
		return pathError(format, err)
	}
	d.Classes = classes
	d.Source = fmt.Sprintf("%s, binary version", format.title)
	if s.CoarseLabels {
		d.Name += "-coarse"
		d.Source += ", coarse labels"
	}
	err = d.reduce(ctx, s, from, train, test, func(im *Images) (*Images, error) { return im.Downscale(s.size(), s.size()) })
	if err != nil {
		return err
	}
	if s.size() != cifarSize {
		d.Source += fmt.Sprintf(", reduced to %dx%d by area", s.size(), s.size())
	}
	return nil
}

// pathError says of a file that is not there that the setting is to blame, and where the files are to be had.
func pathError(f cifarFormat, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &pipeline.SettingError{Path: "path", Err: fmt.Errorf("%w. %s", err, noPath(f))}
	}
	return err
}

// abridge joins the first names and counts the others.
func abridge(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func decimals(values []float32) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprint(math.Round(float64(v)*1e4) / 1e4)
	}
	return strings.Join(texts, " ")
}
