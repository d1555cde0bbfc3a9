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
	"golang.org/x/text/unicode/norm"
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
	testFolder  string // the name of the folder that holds the test
	skipped     skipped
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
		f.classes = namesOf(top)
		f.train, err = f.listClasses(ctx, ".", top)
		return f, err
	}
	f.hasTest = true
	for _, c := range top {
		for _, name := range c.folders {
			if name != trainFolder && name != testFolder {
				f.skipped.unused = append(f.skipped.unused, name)
			}
		}
	}
	trained, err := f.folders(trainFolder)
	if err != nil {
		return nil, err
	}
	tested, err := f.folders(testFolder)
	if err != nil {
		return nil, err
	}
	f.classes = namesOf(trained)
	if err := sameClasses(f.classes, namesOf(tested), testFolder); err != nil {
		return nil, err
	}
	if f.train, err = f.listClasses(ctx, trainFolder, trained); err != nil {
		return nil, err
	}
	f.test, err = f.listClasses(ctx, testFolder, tested)
	return f, err
}

// classFolders are the folders of one class: one, or several whose names differ in their Unicode form alone, as when one was made
// on another system.
type classFolders struct {
	name    string // in the composed form (NFC)
	folders []string
}

func namesOf(classes []classFolders) []string {
	names := make([]string, len(classes))
	for i, c := range classes {
		names[i] = c.name
	}
	return names
}

// splitNames returns names of folders, in small letters, that hold a split in many published data sets.
func splitNames() []string {
	return []string{trainFolder, "training", defaultTestFolder, "testing", "val", "valid", "validation"}
}

// hasSplit tells whether the folders train and test divide the images. A folder named train that holds images itself
// is a class of pictures of trains. Splits of other names are an error, lest they be taken for classes.
func (f *imageFolder) hasSplit(top []classFolders) (bool, error) {
	var splits []string
	for _, name := range namesOf(top) {
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

// folders returns the folders in the given one by class, sorted by name, and notes everything else as skipped.
func (f *imageFolder) folders(in string) ([]classFolders, error) {
	entries, err := os.ReadDir(filepath.Join(f.path, in))
	if err != nil {
		return nil, err
	}
	var classes []classFolders
	for _, e := range entries {
		name := path.Join(in, e.Name())
		// A class may be a link to a folder elsewhere.
		info, err := os.Stat(filepath.Join(f.path, name))
		switch {
		case err != nil && e.Type()&fs.ModeSymlink != 0:
			f.skipped.links = append(f.skipped.links, name)
		case err != nil:
			return nil, err
		case !info.IsDir():
			f.skipped.file(".", e.Name())
		case leftBehind(e.Name()):
			f.skipped.folder(filepath.Join(f.path, name), name)
		default:
			class := norm.NFC.String(e.Name())
			at, found := slices.BinarySearchFunc(classes, class, func(c classFolders, name string) int { return cmp.Compare(c.name, name) })
			if !found {
				classes = slices.Insert(classes, at, classFolders{name: class})
			} else {
				f.skipped.joined = append(f.skipped.joined, class)
			}
			classes[at].folders = append(classes[at].folders, e.Name())
		}
	}
	return classes, nil
}

// listClasses returns the images of every class, in the order of the classes.
func (f *imageFolder) listClasses(ctx context.Context, in string, classes []classFolders) ([]imageFile, error) {
	switch len(classes) {
	case 0:
		return nil, fmt.Errorf("%s holds no folders: want one folder a class with its images in it", path.Join(f.path, in))
	case 1:
		return nil, fmt.Errorf("%s holds one class only, %q: a classifier needs at least two, each in a folder of its own", path.Join(f.path, in), classes[0].name)
	}
	var all []imageFile
	for label, class := range classes {
		before := len(all)
		for _, folder := range class.folders {
			var err error
			if all, err = f.walk(ctx, all, path.Join(in, folder), label, class.name); err != nil {
				return nil, err
			}
		}
		if len(all) == before {
			other := ""
			if found := f.skipped.endings(class.name); found != "" {
				other = " but files of other kinds: " + found
			}
			return nil, fmt.Errorf("the folder %s of a class holds no %s images%s; add some, or take the folder away", path.Join(in, class.name), formatNames(), other)
		}
		slices.SortFunc(all[before:], func(a, b imageFile) int { return cmp.Compare(a.name, b.name) })
	}
	return all, nil
}

// walk appends the images in the folder and in those below it. Links to files are followed; links to folders could
// lead back and are skipped.
func (f *imageFolder) walk(ctx context.Context, all []imageFile, in string, label int, class string) ([]imageFile, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(f.path, in))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := path.Join(in, e.Name())
		full := filepath.Join(f.path, name)
		mode := e.Type()
		if mode&fs.ModeSymlink != 0 {
			info, err := os.Stat(full)
			if err != nil || info.IsDir() {
				f.skipped.links = append(f.skipped.links, name)
				continue
			}
			mode = info.Mode().Type()
		}
		switch {
		case mode.IsDir() && leftBehind(e.Name()):
			f.skipped.folder(full, name)
		case mode.IsDir():
			if all, err = f.walk(ctx, all, name, label, class); err != nil {
				return nil, err
			}
		case mode.IsRegular() && !hidden(e.Name()) && (isImage(e.Name()) || isImageInside(full)):
			all = append(all, imageFile{name, label})
		default:
			f.skipped.file(class, e.Name())
		}
	}
	return all, nil
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
