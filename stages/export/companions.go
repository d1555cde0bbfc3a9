package export

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/supernet"
)

//go:embed programs
var programs embed.FS

// companion is a file that lies beside an exported model.
type companion struct {
	output pipeline.Output
	// content makes the file; nil for a program, which is the same for every model.
	content func(m *Model) ([]byte, error)
	program string // its file under programs
}

// companions lists them: what a program needs besides the model, and programs that show how it is used.
func companions() []companion {
	program := func(name, file, stored, doc string) companion {
		return companion{output: pipeline.Output{Name: name, Type: "program", File: file, Doc: doc}, program: path.Join("programs", stored)}
	}
	return []companion{
		{output: pipeline.Output{Name: "labels", Type: "labels", File: "labels.txt", Doc: "Names of the classes, one a line, in the order of the scores."}, content: labels},
		{output: pipeline.Output{Name: "preprocess", Type: "preprocess", File: "preprocess.json", Doc: "How a picture becomes the numbers that the model takes."}, content: preprocess},
		{output: pipeline.Output{Name: "card", Type: "card", File: "MODEL.md", Doc: "For people: what the model was trained on, how good it is and what it is not for."}, content: card},
		program("go_program", "predict.go", "predict.go.txt", "Picture to class in Go."),
		program("python_program", "predict.py", "predict.py", "Picture to class in Python."),
		program("node_program", "predict.cjs", "predict.cjs", "Picture to class in JavaScript (Node)."),
		program("browser_program", "predict.html", "predict.html", "Picture to class in a browser."),
		program("java_program", "Predict.java", "Predict.java", "Picture to class in Java."),
		program("rust_program", "predict.rs", "predict.rs", "Picture to class in Rust."),
		program("rust_manifest", "Cargo.toml", "Cargo.toml", "What the program in Rust needs."),
	}
}

// bytes returns the content of the file beside the given model.
func (c companion) bytes(m *Model) (data []byte, err error) {
	if c.content != nil {
		data, err = c.content(m)
	} else {
		data, err = programs.ReadFile(c.program)
	}
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", c.output.File, err)
	}
	return data, nil
}

// WriteBeside writes into a folder what belongs beside a model there that is called model.onnx: labels.txt, preprocess.json, MODEL.md
// and the programs; precisions.json too when the model was written in several.
func (m *Model) WriteBeside(folder string) error {
	for _, c := range companions() {
		data, err := c.bytes(m)
		if err != nil {
			return err
		}
		if err := atomicfile.WriteBytes(filepath.Join(folder, c.output.File), data); err != nil {
			return err
		}
	}
	if m.Precisions == nil {
		return nil
	}
	return result.WritePrecisions(filepath.Join(folder, "precisions.json"), m.Precisions)
}

func labels(m *Model) ([]byte, error) {
	for _, name := range m.data.Classes {
		if strings.ContainsAny(name, "\r\n") {
			return nil, fmt.Errorf("the name of the class %q has a line break; rename it", name)
		}
	}
	return []byte(strings.Join(m.data.Classes, "\n") + "\n"), nil
}

// Preprocessing says how a picture becomes the numbers that a model takes: the content of preprocess.json.
type Preprocessing struct {
	Format  string              `json:"format"` // "plateau preprocessing"
	Version int                 `json:"version"`
	Input   PreprocessingInput  `json:"input"`
	Picture *PreprocessingImage `json:"picture,omitempty"` // absent when the model takes no squares
	Value   PreprocessingValue  `json:"value"`
	Outputs map[string]string   `json:"outputs"`
}

// PreprocessingInput is the tensor that the model takes.
type PreprocessingInput struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Layout   string   `json:"layout"` // "nchw": picture by picture, in each channel by channel, in each row by row
	Channels []string `json:"channels"`
	Height   int      `json:"height"`
	Width    int      `json:"width"`
}

// PreprocessingImage is what the model is shown of a picture.
type PreprocessingImage struct {
	Orientation string  `json:"orientation"` // "exif": turned as its camera has noted; "stored": as its pixels are stored
	Transparent string  `json:"transparent"` // "white"
	Center      float64 `json:"center"`      // share of the side of the center square
	Size        int     `json:"size"`        // height and width that the square is brought to
	Reduce      string  `json:"reduce"`
	Enlarge     string  `json:"enlarge"`
}

// PreprocessingValue makes a pixel of 0 to 255 a number: (pixel * scale - mean) / std, by channel.
type PreprocessingValue struct {
	Scale float64   `json:"scale"`
	Mean  []float64 `json:"mean"`
	Std   []float64 `json:"std"`
}

// Preprocessing returns how a picture becomes the numbers that the model takes.
func (m *Model) Preprocessing() (Preprocessing, error) {
	image := m.Network.Image
	out := Preprocessing{
		Format: "plateau preprocessing", Version: 1,
		Input: PreprocessingInput{Name: supernet.Images, Type: "float32", Layout: "nchw", Channels: []string{"red", "green", "blue"}, Height: image[1], Width: image[2]},
		Value: PreprocessingValue{Scale: 1}, Outputs: map[string]string{Probabilities: "one probability for each line of labels.txt; they sum to one"},
	}
	switch image[0] {
	case 1:
		out.Input.Channels = []string{"gray"}
	case 3:
	default:
		return out, fmt.Errorf("the model takes images of %d channels; want gray ones, or red, green and blue", image[0])
	}
	if !m.settings.Softmax {
		out.Outputs[supernet.Logits] = "one score for each line of labels.txt; their softmax are the probabilities"
	}
	if view := m.view(); image[1] == image[2] {
		out.Picture = &PreprocessingImage{
			Orientation: "exif", Transparent: "white", Center: view.Center, Size: image[1],
			Reduce: "mean over the area that a pixel covers, rounded to whole numbers", Enlarge: "bilinear between pixel centers, rounded to whole numbers",
		}
		if view.Stored {
			out.Picture.Orientation = "stored"
		}
	}
	if m.settings.Input != evaluate.InputPixels {
		out.Value.Scale = 1.0 / 255
	}
	for c := range image[0] {
		mean, std := 0.0, 1.0
		if m.settings.Input == evaluate.InputNormalized {
			mean, std = float64(m.data.Mean[c]), float64(m.data.Std[c])
		}
		out.Value.Mean, out.Value.Std = append(out.Value.Mean, mean), append(out.Value.Std, std)
	}
	return out, nil
}

func preprocess(m *Model) ([]byte, error) {
	p, err := m.Preprocessing()
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, errors.Join(errors.New("encode it as JSON"), err)
	}
	return append(text, '\n'), nil
}
