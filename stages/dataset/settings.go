package dataset

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
)

// The sources of images.
const (
	SourceShapes   = "shapes"
	SourceCIFAR10  = "cifar10"
	SourceCIFAR100 = "cifar100"
	SourceIDX      = "idx"    // MNIST and data sets in its format
	SourceFolder   = "folder" // images of one's own
)

var sources = []string{SourceShapes, SourceCIFAR10, SourceCIFAR100, SourceIDX, SourceFolder}

// defaultTestFraction is the share of one's own images that becomes the test split.
const defaultTestFraction = 0.2

// What becomes of pictures that cannot be read.
const (
	OnBadStop = "stop" // they are an error, which names them all
	OnBadSkip = "skip" // they are left out and named
)

// maxFolderSize bounds the size that images of one's own are brought to.
const maxFolderSize = 1024

// How training images of a folder are kept.
const (
	KeepPixels = "pixels"
	KeepFiles  = "files" // as they are, to be decoded when they are needed
)

// How many shapes are drawn when the settings do not say.
const (
	defaultShapes     = 5000
	defaultTestShapes = 1000
)

// Settings are the settings of the stage kind "dataset". Start from DefaultSettings.
type Settings struct {
	Source        string         `yaml:"source" doc:"Where the images come from: shapes (drawn), cifar10, cifar100 or idx (MNIST and its family; read from path), or folder (your own images: PNG, JPEG, GIF, WebP, BMP or TIFF, in one folder a class under path)."`
	Path          string         `yaml:"path" file:"true" doc:"For cifar10 and cifar100 the folder or .tar.gz with the files of the binary version. For idx the folder with the four files, each with .gz or without. For folder the folder that holds one folder a class, or the two folders train and test (test_folder) with one folder a class in each."`
	CoarseLabels  bool           `yaml:"coarse_labels" doc:"Use the 20 coarse classes of cifar100 in place of the 100 fine ones."`
	Size          int            `yaml:"size" doc:"Height and width of the images in pixels: the size to draw, or the size to reduce read images to by area; 0 for 32, or for the images' own size with idx. Square images of idx, and the center squares of a folder's, are also enlarged."`
	TrainImages   int            `yaml:"train_images" doc:"Images for training and validation together, drawn with equal classes; 0 for all that are read, or 5000 shapes."`
	TestImages    int            `yaml:"test_images" doc:"Images for the test, drawn with equal classes; 0 for all that are read, or 1000 shapes."`
	TrainSize     int            `yaml:"train_size" doc:"For folder: height and width at which training and validation images are kept, for an augmentation by resized_crop that cuts parts of size out of them; 0 for size."`
	TestFolder    string         `yaml:"test_folder" doc:"For folder: name of the folder beside train that holds the test; val in ImageNet."`
	TestCenter    float64        `yaml:"test_center" doc:"For folder: share of the side of the center square that test images show; 0.875 is usual for ImageNet, 224 of 256 pixels."`
	IgnoreEXIF    bool           `yaml:"ignore_exif" doc:"For folder: take the pixels as they are stored, as PyTorch's loaders do; otherwise pictures are turned as the EXIF orientation of their camera says."`
	OnBad         string         `yaml:"on_bad" enum:"stop,skip" doc:"For folder: what to do when pictures cannot be read: stop, with a list of all of them, or skip, which leaves them out and lists them."`
	NearCopies    string         `yaml:"near_copies" enum:"together,report,ignore" doc:"For folder: what becomes of pictures that are nearly the same, such as one that was rescaled, compressed again or cropped a little, where one would be used for training and the other for the test: together (they are kept on one side, as copies are; where the folder has a test, the training picture is left out), report (that is only said) or ignore (they are not looked for)."`
	Keep          string         `yaml:"keep" enum:"pixels,files" doc:"For folder: how training and validation images are kept: pixels, or files, as they are, which training decodes ahead of their use with the same result. Pixels take three bytes each: 250 GB for the 1.28 million of ImageNet at 256x256, of which the files are 140 GB; of photos from a phone the files take more. Test images are kept as pixels."`
	TestFraction  float64        `yaml:"test_fraction" doc:"For folder: share of the images of each class that becomes the test split, above 0 and below 1; not used where there is a folder test."`
	ValidFraction float64        `yaml:"valid_fraction" doc:"Share of the training images that is kept apart to compare architectures on, from 0 to below 1."`
	Shapes        ShapesSettings `yaml:"shapes" doc:"How hard drawn shapes are to tell apart."`
}

// DefaultSettings returns shapes of 32x32 pixels with training images in two halves.
func DefaultSettings() Settings {
	return Settings{Source: SourceShapes, TestFolder: defaultTestFolder, TestCenter: 1, OnBad: OnBadStop, NearCopies: NearTogether, Keep: KeepPixels, TestFraction: defaultTestFraction, ValidFraction: 0.5, Shapes: DefaultShapesSettings()}
}

var _ pipeline.Validator = (*Settings)(nil)

// Validate implements pipeline.Validator. It looks at no files.
func (s *Settings) Validate() error {
	wrong := func(path, format string, args ...any) error {
		return &pipeline.SettingError{Path: path, Err: fmt.Errorf(format, args...)}
	}
	var errs []error
	add := func(bad bool, path, format string, args ...any) {
		if bad {
			errs = append(errs, wrong(path, format, args...))
		}
	}
	if !slices.Contains(sources, s.Source) {
		return pipeline.UnknownValue("source", s.Source, sources)
	}
	if s.Keep != "" && s.Keep != KeepPixels && s.Keep != KeepFiles {
		errs = append(errs, pipeline.UnknownValue("keep", s.Keep, []string{KeepPixels, KeepFiles}))
	}
	add(s.Keep == KeepFiles && s.Source != SourceFolder, "keep", "only pictures of a folder are files of their own; remove it for %s", s.Source)
	if s.OnBad != "" && s.OnBad != OnBadStop && s.OnBad != OnBadSkip {
		errs = append(errs, pipeline.UnknownValue("on_bad", s.OnBad, []string{OnBadStop, OnBadSkip}))
	}
	add(s.OnBad == OnBadSkip && s.Source != SourceFolder, "on_bad", "only pictures of a folder can be left out; remove it for %s", s.Source)
	if s.NearCopies != "" && !slices.Contains([]string{NearTogether, NearReport, NearIgnore}, s.NearCopies) {
		errs = append(errs, pipeline.UnknownValue("near_copies", s.NearCopies, []string{NearTogether, NearReport, NearIgnore}))
	}
	add(s.NearCopies != "" && s.NearCopies != NearTogether && s.Source != SourceFolder, "near_copies", "only pictures of a folder are looked at for near copies; remove it for %s", s.Source)
	format, read := s.format()
	switch {
	case s.Source == SourceFolder:
		add(s.Path == "", "path", "%s", noFolder())
		add(s.Size < 0 || s.Size > maxFolderSize, "size", "%d pixels, want 1 to %d, or 0 for %d", s.Size, maxFolderSize, cifarSize)
		add(s.TrainSize < 0 || s.TrainSize > maxFolderSize || s.TrainSize != 0 && s.TrainSize < s.size(), "train_size", "%d pixels, want %d to %d, or 0 for %[2]d", s.TrainSize, s.size(), maxFolderSize)
		add(!(s.TestCenter > 0 && s.TestCenter <= 1), "test_center", "%v of the side, want above 0 and at most 1", s.TestCenter)
		add(s.TestFolder == trainFolder || strings.ContainsAny(s.TestFolder, `/\`), "test_folder", "%q, want the name of a folder beside %s", s.TestFolder, trainFolder)
		add(!(s.TestFraction > 0 && s.TestFraction < 1), "test_fraction", "%v of the images, want above 0 and below 1, such as %v", s.TestFraction, defaultTestFraction)
	case s.Source == SourceIDX:
		add(s.Path == "", "path", "%s", noIDX())
		add(s.Size < 0 || s.Size > maxFolderSize, "size", "%d pixels, want 1 to %d, or 0 for the images' own size", s.Size, maxFolderSize)
	case read:
		add(s.Path == "", "path", "%s", noPath(format))
		add(s.Size < 0 || s.Size > cifarSize, "size", "%d pixels, want 1 to %d, or 0 for %d; images are only reduced", s.Size, cifarSize, cifarSize)
	default:
		add(s.Path != "", "path", "shapes are drawn, not read: remove the path or choose source folder, idx, cifar10 or cifar100")
		add(s.Size != 0 && (s.Size < minShapesSize || s.Size > maxShapesSize), "size",
			"%d pixels, want %d to %d, or 0 for %d", s.Size, minShapesSize, maxShapesSize, cifarSize)
	}
	add(s.TestFraction != 0 && s.TestFraction != defaultTestFraction && s.Source != SourceFolder, "test_fraction", "only folder divides its images for a test; remove it for %s", s.Source)
	add(s.TrainSize != 0 && s.Source != SourceFolder, "train_size", "only folder keeps training images at a size of their own; remove it for %s", s.Source)
	add(s.IgnoreEXIF && s.Source != SourceFolder, "ignore_exif", "only pictures of a folder have EXIF data; remove it for %s", s.Source)
	add(s.CoarseLabels && s.Source != SourceCIFAR100, "coarse_labels", "only cifar100 has coarse labels; remove it for %s", s.Source)
	add(s.TrainImages < 0, "train_images", "%d images, want 1 or more, or 0 for the source's own number", s.TrainImages)
	add(s.TestImages < 0, "test_images", "%d images, want 1 or more, or 0 for the source's own number", s.TestImages)
	add(!(s.ValidFraction >= 0 && s.ValidFraction < 1), "valid_fraction", "%v of the images, want 0 to below 1, such as 0.5", s.ValidFraction)
	add(s.Shapes.Clutter < 0 || s.Shapes.Clutter > maxClutter, "shapes.clutter", "%d marks, want 0 to %d", s.Shapes.Clutter, maxClutter)
	add(!(s.Shapes.Noise >= 0 && s.Shapes.Noise <= 1), "shapes.noise", "a standard deviation of %v, want 0 to 1", s.Shapes.Noise)
	return errors.Join(errs...)
}

// format returns how the source's files are laid out, and whether there are any.
func (s *Settings) format() (cifarFormat, bool) {
	switch s.Source {
	case SourceCIFAR10:
		return cifar10(), true
	case SourceCIFAR100:
		return cifar100(), true
	}
	return cifarFormat{}, false
}

// label returns which of a record's labels is the class: the last, or the coarse one before it.
func (s *Settings) label(f cifarFormat) int {
	if s.CoarseLabels {
		return 0
	}
	return len(f.labels) - 1
}

// size returns the side length of the images in pixels.
func (s *Settings) size() int {
	if s.Size == 0 {
		return cifarSize
	}
	return s.Size
}

// trainSize returns the side length at which training images are kept.
func (s *Settings) trainSize() int {
	if s.TrainSize == 0 {
		return s.size()
	}
	return s.TrainSize
}

// testFolder returns the name of the folder that holds the test.
func (s *Settings) testFolder() string {
	if s.TestFolder == "" {
		return defaultTestFolder
	}
	return s.TestFolder
}

func noPath(f cifarFormat) string {
	return fmt.Sprintf("%s is read from files: download %s (the binary version) from https://www.cs.toronto.edu/~kriz/cifar.html "+
		"and give the archive, or the folder it unpacks to, as --set data.path=PATH (with data the stage's id)", f.title, f.archive)
}
