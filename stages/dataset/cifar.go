package dataset

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// CIFAR images have 3 planes of 32 x 32 bytes.
const (
	cifarSize  = 32
	cifarBytes = 3 * cifarSize * cifarSize
)

// cifarFormat describes one of the two data sets in the binary version of https://www.cs.toronto.edu/~kriz/cifar.html: a
// file is records without a header, each some label bytes and then the red, green and blue plane, row by row.
type cifarFormat struct {
	name    string // the setting: "cifar10"
	title   string
	folder  string // of the official archive
	archive string // the official file
	train   []string
	test    []string
	labels  []cifarLabel // one a label byte
}

type cifarLabel struct {
	names   string // the file that lists the class names, one a line
	classes int
}

func cifar10() cifarFormat {
	return cifarFormat{
		name: "cifar10", title: "CIFAR-10", folder: "cifar-10-batches-bin", archive: "cifar-10-binary.tar.gz",
		train:  []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
		test:   []string{"test_batch.bin"},
		labels: []cifarLabel{{"batches.meta.txt", 10}},
	}
}

func cifar100() cifarFormat {
	return cifarFormat{
		name: "cifar100", title: "CIFAR-100", folder: "cifar-100-binary", archive: "cifar-100-binary.tar.gz",
		train:  []string{"train.bin"},
		test:   []string{"test.bin"},
		labels: []cifarLabel{{"coarse_label_names.txt", 20}, {"fine_label_names.txt", 100}},
	}
}

// files returns the names of all files that are read when the label with the given index is used.
func (f cifarFormat) files(label int) []string {
	return slices.Concat(f.train, f.test, []string{f.labels[label].names})
}

// read reads the training and the test images from a folder or an archive. label says which of a record's labels
// becomes the class.
func (f cifarFormat) read(ctx context.Context, path string, label int) (train, test *Images, classes []string, err error) {
	wrap := func(err error) error { return fmt.Errorf("read %s from %s: %w", f.title, path, err) }
	content, err := f.open(path).read(ctx, f.files(label))
	if err != nil {
		return nil, nil, nil, wrap(err)
	}
	l := f.labels[label]
	if classes, err = parseNames(l.names, content[l.names], l.classes); err != nil {
		return nil, nil, nil, wrap(err)
	}
	if train, err = f.parseAll(f.train, content, label); err != nil {
		return nil, nil, nil, wrap(err)
	}
	if test, err = f.parseAll(f.test, content, label); err != nil {
		return nil, nil, nil, wrap(err)
	}
	return train, test, classes, nil
}

func (f cifarFormat) parseAll(names []string, content map[string][]byte, label int) (*Images, error) {
	all := newImages(0, 3, cifarSize, cifarSize)
	for _, n := range names {
		im, err := f.parse(n, content[n], label)
		if err != nil {
			return nil, err
		}
		all.Count += im.Count
		all.Pixels = append(all.Pixels, im.Pixels...)
		all.Labels = append(all.Labels, im.Labels...)
	}
	return all, nil
}

// parse reads the records of one file. Every label of a record is checked, also the one that is not used: a wrong
// one means that the file is of another format.
func (f cifarFormat) parse(name string, b []byte, label int) (*Images, error) {
	record := len(f.labels) + cifarBytes
	if len(b) == 0 || len(b)%record != 0 {
		return nil, fmt.Errorf("%s has %d bytes, want a multiple of %d (%d label and %d pixel bytes a record): it is truncated or not %s in the binary version",
			name, len(b), record, len(f.labels), cifarBytes, f.title)
	}
	im := newImages(len(b)/record, 3, cifarSize, cifarSize)
	for i := range im.Count {
		r := b[i*record : (i+1)*record]
		for k, l := range f.labels {
			if int(r[k]) >= l.classes {
				return nil, fmt.Errorf("%s: record %d, byte offset %d: label %d, want 0 to %d: the file is damaged or not %s in the binary version",
					name, i, i*record+k, r[k], l.classes-1, f.title)
			}
		}
		im.Labels[i] = int64(r[label])
		copy(im.at(i), r[len(f.labels):])
	}
	return im, nil
}

// parseNames reads class names, one a line; empty lines at the end do not count.
func parseNames(name string, b []byte, want int) ([]string, error) {
	lines := strings.Split(strings.TrimRight(string(b), "\r\n \t"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	if len(lines) != want {
		return nil, fmt.Errorf("%s names %d classes, want %d", name, len(lines), want)
	}
	if err := checkClasses(lines); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return lines, nil
}
