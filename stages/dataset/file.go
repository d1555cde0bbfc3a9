package dataset

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/plateau-nas/plateau/exporter/safetensors"
)

// The metadata of a dataset's file. The version says how the tensors are named and laid out.
const (
	fileFormat  = "plateau dataset"
	fileVersion = "1"
	// fileEnd ends the name of a file: the one character that no system has in names.
	fileEnd = "\x00"
)

// Save writes the dataset to one safetensors file, whole or not at all. Equal datasets give equal bytes. The file
// holds the tensors mean and std (F32, one value a channel) and for each split SPLIT.images (U8, NCHW) and SPLIT.labels
// (I64), with SPLIT train, valid and test. Where pictures are kept as their files, SPLIT.encoded (U8, one after the other) and SPLIT.ends (I64,
// where each ends) take the place of SPLIT.images, and the metadata SPLIT.view says what is shown of them. Where images are files also SPLIT.files (U8, their names, each with a zero byte behind it), and
// SPLIT.groups (I64) where there are copies; the metadata has name, source and classes (a JSON list), and view and near (JSON
// objects) where the images were read from pictures.
func (d *Dataset) Save(path string) error { return d.save(path, nil) }

// save is Save; used, when it is not nil, is told pixels that have been written.
func (d *Dataset) save(path string, used func(pixels []byte)) error {
	if err := d.Check(); err != nil {
		return fmt.Errorf("save dataset %s: %w", d.Name, err)
	}
	classes, err := json.Marshal(d.Classes)
	if err != nil {
		return fmt.Errorf("save dataset %s: class names: %w", d.Name, err)
	}
	channels := []int{len(d.Mean)}
	f := &safetensors.File{
		Metadata: map[string]string{
			"format": fileFormat, "version": fileVersion,
			"name": d.Name, "source": d.Source, "classes": string(classes),
		},
		Written: used,
		Tensors: []safetensors.Tensor{
			safetensors.Float32("mean", channels, d.Mean),
			safetensors.Float32("std", channels, d.Std),
		},
	}
	if d.View != nil {
		view, err := json.Marshal(d.View)
		if err != nil {
			return fmt.Errorf("save dataset %s: view: %w", d.Name, err)
		}
		f.Metadata["view"] = string(view)
	}
	if d.Near != nil {
		near, err := json.Marshal(d.Near)
		if err != nil {
			return fmt.Errorf("save dataset %s: near copies: %w", d.Name, err)
		}
		f.Metadata["near"] = string(near)
	}
	for _, s := range d.splits() {
		im := s.images
		f.Tensors = append(f.Tensors, safetensors.Int64(s.name+".labels", []int{im.Count}, im.Labels))
		if im.Encoded != nil {
			if err := addEncoded(f, s.name, im.Encoded); err != nil {
				return fmt.Errorf("save dataset %s: %w", d.Name, err)
			}
		} else {
			f.Tensors = append(f.Tensors, safetensors.Uint8(s.name+".images", []int{im.Count, im.Channels, im.Height, im.Width}, im.Pixels))
		}
		if im.Files != nil {
			names := []byte(strings.Join(im.Files, fileEnd) + fileEnd)
			f.Tensors = append(f.Tensors, safetensors.Uint8(s.name+".files", []int{len(names)}, names))
		}
		if im.Groups != nil {
			f.Tensors = append(f.Tensors, safetensors.Int64(s.name+".groups", []int{im.Count}, im.Groups))
		}
	}
	if err := safetensors.Write(path, f); err != nil {
		return fmt.Errorf("save dataset %s: %w", d.Name, err)
	}
	return nil
}

// Load reads a dataset that Save has written and checks it: layout, sizes, label range and statistics. The pixels of a file of
// a gigabyte or more stay in the file, which is mapped into memory where the system can do that; they cannot be written to, and
// the file must stay as it is. (It may be removed.)
func Load(path string) (*Dataset, error) { return load(path, largeBytes) }

func load(path string, limit int64) (*Dataset, error) {
	f, err := open(path, limit)
	if err != nil {
		return nil, fmt.Errorf("load dataset: %w", err)
	}
	d, err := decode(f)
	if err != nil {
		return nil, fmt.Errorf("load dataset %s: %w", path, err)
	}
	return d, nil
}

func decode(f *safetensors.File) (*Dataset, error) {
	if got := f.Metadata["format"]; got != fileFormat {
		return nil, fmt.Errorf("the file is not a dataset: its metadata has format %q, want %q", got, fileFormat)
	}
	if got := f.Metadata["version"]; got != fileVersion {
		return nil, fmt.Errorf("version %q of the layout is not known, want %q; make the dataset again", got, fileVersion)
	}
	d := &Dataset{Name: f.Metadata["name"], Source: f.Metadata["source"]}
	if err := json.Unmarshal([]byte(f.Metadata["classes"]), &d.Classes); err != nil {
		return nil, fmt.Errorf("metadata classes: %w", err)
	}
	if text, ok := f.Metadata["view"]; ok {
		d.View = new(View)
		if err := json.Unmarshal([]byte(text), d.View); err != nil {
			return nil, fmt.Errorf("metadata view: %w", err)
		}
	}
	if text, ok := f.Metadata["near"]; ok {
		d.Near = new(Near)
		if err := json.Unmarshal([]byte(text), d.Near); err != nil {
			return nil, fmt.Errorf("metadata near: %w", err)
		}
	}
	var err error
	if d.Mean, err = f.Float32("mean", -1); err != nil {
		return nil, err
	}
	if d.Std, err = f.Float32("std", -1); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		name string
		to   **Images
	}{{"train", &d.Train}, {"valid", &d.Valid}, {"test", &d.Test}} {
		if *s.to, err = decodeSplit(f, s.name); err != nil {
			return nil, err
		}
	}
	if err := d.Check(); err != nil {
		return nil, err
	}
	return d, nil
}

// addEncoded adds the pictures of a split to a file.
func addEncoded(f *safetensors.File, name string, e *Encoded) error {
	view, err := json.Marshal(e.View)
	if err != nil {
		return fmt.Errorf("view: %w", err)
	}
	f.Metadata[name+".view"] = string(view)
	ends, end := make([]int64, len(e.Contents)), int64(0)
	for i, content := range e.Contents {
		end += int64(len(content))
		ends[i] = end
	}
	f.Tensors = append(f.Tensors, safetensors.Int64(name+".ends", []int{len(ends)}, ends),
		safetensors.Tensor{Name: name + ".encoded", DType: safetensors.U8, Shape: []int{int(end)}, Parts: e.Contents})
	return nil
}

// decodeEncoded reads the pictures of a split.
func decodeEncoded(f *safetensors.File, name string) (*Images, error) {
	all, err := f.Uint8(name+".encoded", -1)
	if err != nil {
		return nil, err
	}
	ends, err := f.Int64(name+".ends", -1)
	if err != nil {
		return nil, err
	}
	e := &Encoded{Contents: make([][]byte, len(ends))}
	begin := int64(0)
	for i, end := range ends {
		if end < begin || end > int64(len(all)) {
			return nil, fmt.Errorf("tensor %s.ends: picture %d ends at byte %d, and the one before at %d of %d", name, i, end, begin, len(all))
		}
		e.Contents[i] = all[begin:end:end]
		begin = end
	}
	if err := json.Unmarshal([]byte(f.Metadata[name+".view"]), &e.View); err != nil {
		return nil, fmt.Errorf("metadata %s.view: %w", name, err)
	}
	if err := e.View.Check(); err != nil {
		return nil, fmt.Errorf("metadata %s.view: %w", name, err)
	}
	return &Images{Count: len(ends), Channels: 3, Height: e.View.Size, Width: e.View.Size, Encoded: e}, nil
}

// decodePixels reads the pixels of a split.
func decodePixels(f *safetensors.File, name string) (*Images, error) {
	pixels, err := f.Uint8(name+".images", -1, -1, -1, -1)
	if err != nil {
		return nil, err
	}
	t, _ := f.Tensor(name + ".images")
	return &Images{Count: t.Shape[0], Channels: t.Shape[1], Height: t.Shape[2], Width: t.Shape[3], Pixels: pixels}, nil
}

func decodeSplit(f *safetensors.File, name string) (*Images, error) {
	read := decodePixels
	if _, ok := f.Tensor(name + ".encoded"); ok {
		read = decodeEncoded
	}
	im, err := read(f, name)
	if err != nil {
		return nil, err
	}
	if im.Labels, err = f.Int64(name+".labels", im.Count); err != nil {
		return nil, err
	}
	if _, ok := f.Tensor(name + ".files"); ok {
		names, err := f.Uint8(name+".files", -1)
		if err != nil {
			return nil, err
		}
		im.Files = strings.Split(strings.TrimSuffix(string(names), fileEnd), fileEnd)
		if im.Count == 0 {
			im.Files = []string{}
		}
	}
	if _, ok := f.Tensor(name + ".groups"); ok {
		if im.Groups, err = f.Int64(name+".groups", im.Count); err != nil {
			return nil, err
		}
	}
	return im, nil
}
