package onnx

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
)

// externalAlignment lets a reader map the tensors of a data file into memory on any common page size.
const externalAlignment = 4096

// externalMinimum is the size in bytes from which a tensor is worth a place in the data file.
const externalMinimum = 1024

func moveExternal(m *ModelProto, dataPath string) (*ModelProto, error) {
	out := proto.Clone(m).(*ModelProto)
	name := filepath.Base(dataPath)
	err := atomicfile.Write(dataPath, func(w io.Writer) error {
		var at int64
		for _, t := range out.GetGraph().GetInitializer() {
			raw := t.GetRawData()
			if len(raw) < externalMinimum {
				continue
			}
			if pad := (externalAlignment - at%externalAlignment) % externalAlignment; pad > 0 {
				if _, err := w.Write(make([]byte, pad)); err != nil {
					return err
				}
				at += pad
			}
			if _, err := w.Write(raw); err != nil {
				return err
			}
			t.DataLocation = TensorProto_EXTERNAL
			t.RawData = nil
			t.ExternalData = []*StringStringEntryProto{
				{Key: "location", Value: name},
				{Key: "offset", Value: strconv.FormatInt(at, 10)},
				{Key: "length", Value: strconv.Itoa(len(raw))},
			}
			at += int64(len(raw))
		}
		return nil
	})
	return out, err
}

// loadExternal brings in the external tensors of a graph: its initializers and those in the attributes of its nodes,
// subgraphs included.
func loadExternal(g *GraphProto, dir string) error {
	tensors := g.GetInitializer()
	for _, n := range g.GetNode() {
		for _, a := range n.GetAttribute() {
			if a.GetT() != nil {
				tensors = append(tensors[:len(tensors):len(tensors)], a.GetT())
			}
			for _, sub := range append([]*GraphProto{a.GetG()}, a.GetGraphs()...) {
				if err := loadExternal(sub, dir); err != nil {
					return err
				}
			}
		}
	}
	for _, t := range tensors {
		if t.GetDataLocation() != TensorProto_EXTERNAL {
			continue
		}
		raw, err := readExternal(t, dir)
		if err != nil {
			return fmt.Errorf("external data of tensor %q: %w", t.GetName(), err)
		}
		t.RawData, t.ExternalData, t.DataLocation = raw, nil, TensorProto_DEFAULT
	}
	return nil
}

func readExternal(t *TensorProto, dir string) ([]byte, error) {
	entry := map[string]string{}
	for _, e := range t.GetExternalData() {
		entry[e.GetKey()] = e.GetValue()
	}
	location := entry["location"]
	// A model comes from outside: it must not make us read files elsewhere, through a symbolic link neither.
	if !filepath.IsLocal(location) {
		return nil, fmt.Errorf("location %q is not a path below the model's folder", location)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	number := func(key string) (int64, error) {
		if entry[key] == "" {
			return 0, nil
		}
		v, err := strconv.ParseInt(entry[key], 10, 64)
		if err != nil || v < 0 {
			return 0, fmt.Errorf("%s %q is not a size in bytes", key, entry[key])
		}
		return v, nil
	}
	offset, err := number("offset")
	if err != nil {
		return nil, err
	}
	length, err := number("length")
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(location)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", location)
	}
	f, err := root.Open(location)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if entry["length"] == "" {
		length = info.Size() - offset
	}
	if length < 0 || offset > info.Size() || length > info.Size()-offset {
		return nil, fmt.Errorf("%s has %d bytes, but %d from offset %d are wanted", location, info.Size(), length, offset)
	}
	raw := make([]byte, length)
	if _, err := f.ReadAt(raw, offset); err != nil {
		return nil, err
	}
	return raw, nil
}
