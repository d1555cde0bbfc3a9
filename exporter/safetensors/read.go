package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Read reads the file at path. Content that is not valid gives an error that wraps a *FormatError.
func Read(path string) (*File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read tensors: %w", err)
	}
	f, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return f, nil
}

// Parse reads a file from its bytes. The tensors' data are parts of b, not copies, in the order in which they
// lie there. Errors are *FormatError.
func Parse(b []byte) (*File, error) {
	if len(b) < 8 {
		return nil, &FormatError{Problem: fmt.Sprintf("%d bytes are too few for the header's length", len(b))}
	}
	n := binary.LittleEndian.Uint64(b)
	if n > maxHeader {
		return nil, &FormatError{Problem: fmt.Sprintf("a header of %d bytes is over the format's limit of %d", n, maxHeader)}
	}
	if n > uint64(len(b)-8) {
		return nil, &FormatError{Problem: fmt.Sprintf("the header should have %d bytes but only %d follow; the file is truncated or of another format", n, len(b)-8)}
	}
	header, data := b[8:8+n], b[8+n:]
	if !bytes.HasPrefix(header, []byte("{")) || !utf8.Valid(header) {
		return nil, &FormatError{Problem: "the header is not a JSON object in UTF-8"}
	}
	f, spans, err := parseHeader(header)
	if err != nil {
		return nil, &FormatError{Problem: "header", Err: err}
	}
	if err := f.place(spans, data); err != nil {
		return nil, err
	}
	return f, nil
}

// span is where a tensor's bytes lie in the data.
type span struct{ begin, end int }

// place gives every tensor its part of data and checks that the parts follow each other without gaps.
func (f *File) place(spans []span, data []byte) error {
	order := make([]int, len(spans))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(spans[i].begin, spans[j].begin), cmp.Compare(spans[i].end, spans[j].end))
	})
	tensors := make([]Tensor, 0, len(spans))
	end := 0
	for _, i := range order {
		t, s := f.Tensors[i], spans[i]
		want, err := byteSize(t.DType, t.Shape)
		if err != nil {
			return &FormatError{Problem: fmt.Sprintf("tensor %q", t.Name), Err: err}
		}
		switch {
		case s.begin != end || s.end < s.begin:
			return &FormatError{Problem: fmt.Sprintf("tensor %q lies at bytes %d to %d, want it to begin at %d", t.Name, s.begin, s.end, end)}
		case s.end-s.begin != want:
			return &FormatError{Problem: fmt.Sprintf("tensor %q has %d bytes; %s of shape %v has %d", t.Name, s.end-s.begin, t.DType, t.Shape, want)}
		case s.end > len(data):
			return &FormatError{Problem: fmt.Sprintf("tensor %q ends at byte %d of the data, which has only %d; the file is truncated", t.Name, s.end, len(data))}
		}
		end = s.end
		t.Data = data[s.begin:s.end:s.end]
		tensors = append(tensors, t)
	}
	if end != len(data) {
		return &FormatError{Problem: fmt.Sprintf("%d bytes after the last tensor belong to none", len(data)-end)}
	}
	f.Tensors = tensors
	return nil
}

// parseHeader reads the JSON token by token: unlike unmarshaling into structs, that tells keys given twice, null
// and keys in another case from what the format allows.
func parseHeader(header []byte) (*File, []span, error) {
	d := decoder{json.NewDecoder(bytes.NewReader(header))}
	d.UseNumber()
	f := &File{}
	var spans []span
	err := d.object(func(key string) error {
		if key == metadataKey {
			f.Metadata = map[string]string{}
			return d.object(func(key string) (err error) {
				f.Metadata[key], err = d.text()
				return err
			})
		}
		if key == "" {
			return fmt.Errorf("a tensor has no name")
		}
		t, s, err := d.tensor(key)
		f.Tensors, spans = append(f.Tensors, t), append(spans, s)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, fmt.Errorf("text follows the JSON object")
	}
	return f, spans, nil
}

type decoder struct{ *json.Decoder }

func (d decoder) tensor(name string) (Tensor, span, error) {
	t := Tensor{Name: name}
	var s span
	var missing = map[string]bool{"dtype": true, "shape": true, "data_offsets": true}
	err := d.object(func(key string) error {
		delete(missing, key)
		switch key {
		case "dtype":
			text, err := d.text()
			t.DType = DType(text)
			return err
		case "shape":
			shape, err := d.integers()
			t.Shape = shape
			return err
		case "data_offsets":
			o, err := d.integers()
			if err == nil && len(o) != 2 {
				err = fmt.Errorf("has %d numbers, want 2", len(o))
			}
			if err == nil {
				s = span{o[0], o[1]}
			}
			return err
		}
		return fmt.Errorf("is not a key of the format")
	})
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("%q lacks one of dtype, shape and data_offsets", name)
	}
	return t, s, err
}

// object reads an object and calls member for each key; member must read the value.
func (d decoder) object(member func(key string) error) error {
	if err := d.delim('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for d.More() {
		key, err := d.text()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("key %q is given twice", key)
		}
		seen[key] = true
		if err := member(key); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	return d.delim('}')
}

func (d decoder) integers() ([]int, error) {
	if err := d.delim('['); err != nil {
		return nil, err
	}
	var list []int
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		n, ok := t.(json.Number)
		if !ok {
			return nil, fmt.Errorf("found %v, want a number", t)
		}
		v, err := strconv.Atoi(n.String())
		if err != nil || v < 0 {
			return nil, fmt.Errorf("found %v, want a whole number that is not negative", t)
		}
		list = append(list, v)
	}
	return list, d.delim(']')
}

func (d decoder) text() (string, error) {
	t, err := d.Token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("found %v, want a text", t)
	}
	return s, nil
}

func (d decoder) delim(want json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("found %v, want %v", t, want)
	}
	return nil
}
