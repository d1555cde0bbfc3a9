package dataset

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// The folders of a data set that comes with a test split of its own.
const (
	trainFolder       = "train"
	defaultTestFolder = "test"
)

// imageFolder is what a folder of images holds: one folder a class, or the two folders train and test with one folder a
// class in each.
type imageFolder struct {
	path    string
	classes []string // sorted
	// train holds the images that have no place in a split yet, or those of the folder train when there is a test.
	train, test []imageFile
	hasTest     bool
	testFolder  string   // the name of the folder that holds the test
	skipped     []string // what is neither a folder nor an image, by path
}

// imageFile is one picture.
type imageFile struct {
	name  string // the path below the folder, with slashes
	label int
}

// listFolder looks at names alone: it opens no image. Classes and images are sorted by name, byte by byte, so the
// order does not depend on the file system.
func listFolder(ctx context.Context, root, testFolder string) (*imageFolder, error) {
	f := &imageFolder{path: root, testFolder: testFolder}
	top, err := f.folders(".")
	if err != nil {
		return nil, err
	}
	split, err := f.hasSplit(top)
	if err != nil {
		return nil, err
	}
	if !split {
		f.classes = top
		f.train, err = f.listClasses(ctx, ".")
		return f, err
	}
	f.hasTest = true
	for _, name := range top {
		if name != trainFolder && name != testFolder {
			f.skipped = append(f.skipped, name)
		}
	}
	if f.classes, err = f.folders(trainFolder); err != nil {
		return nil, err
	}
	tested, err := f.folders(testFolder)
	if err != nil {
		return nil, err
	}
	if err := sameClasses(f.classes, tested, testFolder); err != nil {
		return nil, err
	}
	if f.train, err = f.listClasses(ctx, trainFolder); err != nil {
		return nil, err
	}
	f.test, err = f.listClasses(ctx, testFolder)
	return f, err
}

// splitNames returns names of folders, in small letters, that hold a split in many published data sets.
func splitNames() []string {
	return []string{trainFolder, "training", defaultTestFolder, "testing", "val", "valid", "validation"}
}

// hasSplit tells whether the folders train and test divide the images. A folder named train that holds images itself
// is a class of pictures of trains. Splits of other names are an error, lest they be taken for classes.
func (f *imageFolder) hasSplit(top []string) (bool, error) {
	var splits []string
	for _, name := range top {
		if name != f.testFolder && !slices.Contains(splitNames(), strings.ToLower(name)) {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(f.path, name))
		if err != nil {
			return false, err
		}
		if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return isImage(e.Name()) }) {
			splits = append(splits, name)
		}
	}
	switch {
	case slices.Contains(splits, trainFolder) && slices.Contains(splits, f.testFolder):
		return true, nil
	case len(splits) > 0:
		return false, fmt.Errorf("the folder %s looks like a split, not like a class, since it holds no images itself: have the two folders %s and %s, with a folder for every class in each, "+
			"or put the folders of the classes into %s itself and a share of the images becomes the test split", splits[0], trainFolder, f.testFolder, f.path)
	}
	return false, nil
}

// folders returns the names of the folders in the given one, and notes everything else as skipped.
func (f *imageFolder) folders(in string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(f.path, in))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := path.Join(in, e.Name())
		// A class may be a link to a folder elsewhere.
		info, err := os.Stat(filepath.Join(f.path, name))
		if err != nil {
			return nil, err
		}
		if info.IsDir() && !hidden(e.Name()) {
			names = append(names, e.Name())
		} else {
			f.skipped = append(f.skipped, name)
		}
	}
	return names, nil
}

// listClasses returns the images of every class, in the order of the classes.
func (f *imageFolder) listClasses(ctx context.Context, in string) ([]imageFile, error) {
	switch len(f.classes) {
	case 0:
		return nil, fmt.Errorf("%s holds no folders: want one folder a class with its images in it", path.Join(f.path, in))
	case 1:
		return nil, fmt.Errorf("%s holds one class only, %q: a classifier needs at least two, each in a folder of its own", path.Join(f.path, in), f.classes[0])
	}
	var all []imageFile
	for label, class := range f.classes {
		before := len(all)
		var err error
		if all, err = f.walk(ctx, all, path.Join(in, class), label); err != nil {
			return nil, err
		}
		if len(all) == before {
			return nil, fmt.Errorf("the folder %s of a class holds no %s images", path.Join(in, class), formatNames())
		}
		slices.SortFunc(all[before:], func(a, b imageFile) int { return cmp.Compare(a.name, b.name) })
	}
	return all, nil
}

// walk appends the images in the folder and in those below it. Links to files are followed; links to folders could
// lead back and are skipped.
func (f *imageFolder) walk(ctx context.Context, all []imageFile, in string, label int) ([]imageFile, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(f.path, in))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := path.Join(in, e.Name())
		switch {
		case hidden(e.Name()):
			f.skipped = append(f.skipped, name)
		case e.IsDir():
			if all, err = f.walk(ctx, all, name, label); err != nil {
				return nil, err
			}
		case isImage(e.Name()) && f.isFile(name, e):
			all = append(all, imageFile{name, label})
		default:
			f.skipped = append(f.skipped, name)
		}
	}
	return all, nil
}

// isFile tells whether the entry is a file or a link to one. A link to nowhere counts as a file, so that reading it
// says what is wrong.
func (f *imageFolder) isFile(name string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.Type().IsRegular()
	}
	info, err := os.Stat(filepath.Join(f.path, name))
	return err != nil || info.Mode().IsRegular()
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// sameClasses returns an error unless training and test split have the same classes.
func sameClasses(train, test []string, testFolder string) error {
	for _, c := range train {
		if !slices.Contains(test, c) {
			return fmt.Errorf("the class %q has a folder in %s and none in %s", c, trainFolder, testFolder)
		}
	}
	for _, c := range test {
		if !slices.Contains(train, c) {
			return fmt.Errorf("the class %q has a folder in %s and none in %s", c, testFolder, trainFolder)
		}
	}
	return nil
}

// note says what was skipped, or returns "".
func (f *imageFolder) note() string {
	if len(f.skipped) == 0 {
		return ""
	}
	return fmt.Sprintf("skipped %d files or folders that are hidden, out of place or no %s images, such as %s", len(f.skipped), formatNames(), f.skipped[0])
}

// digests returns one SHA-256 for each folder of a class: of the names of its images and of their bytes. The number of
// facts stays small however many images there are, and the one that changed names the folder.
func (f *imageFolder) digests(ctx context.Context) (map[string]string, error) {
	files := slices.Concat(f.train, f.test)
	sums := make([][sha256.Size]byte, len(files))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, file := range files {
		group.Go(func() error {
			var err error
			sums[i], err = digestFile(ctx, filepath.Join(f.path, file.name))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	hashes := map[string]hash.Hash{}
	for i, file := range files {
		class := f.classes[file.label]
		if f.hasTest {
			class = path.Join(trainFolder, class)
			if i >= len(f.train) {
				class = path.Join(f.testFolder, f.classes[file.label])
			}
		}
		if hashes[class] == nil {
			hashes[class] = sha256.New()
		}
		fmt.Fprintf(hashes[class], "%x %q\n", sums[i], file.name)
	}
	out := map[string]string{}
	for class, h := range hashes {
		out[class] = fmt.Sprintf("sha256:%x", h.Sum(nil))
	}
	return out, nil
}

func digestFile(ctx context.Context, path string) (sum [sha256.Size]byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer file.Close() //nolint:errcheck // only read from
	h := sha256.New()
	if _, err := io.Copy(h, reader{ctx, file}); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}
