package export

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/internal/browsertest"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// Where the task "examples" has put what the programs need. A program whose needs are not there is skipped, unless mustRun is set.
const (
	pythonVariable = "PLATEAU_TEST_PYTHON" // an interpreter with onnxruntime, numpy and pillow
	nodeVariable   = "PLATEAU_TEST_NODE"   // a folder whose node_modules hold onnxruntime-node, onnxruntime-web and sharp
	javaVariable   = "PLATEAU_TEST_JAVA"   // the onnxruntime .jar
	rustVariable   = "PLATEAU_TEST_RUST"   // a folder for what cargo builds
	mustRun        = "PLATEAU_TEST_PROGRAMS"
)

// pictures writes pictures of many kinds and returns their paths: larger and smaller than the model's, oblong both ways with an odd
// rest, transparent, gray, with a palette, and one that is stored on its side.
func pictures(t testing.TB, dir string) []string {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	spots := func(w, h int, alpha bool) *image.NRGBA {
		im := image.NewNRGBA(image.Rect(0, 0, w, h))
		for range 12 {
			ink := color.NRGBA{uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256)), 255}
			if alpha {
				ink.A = uint8(r.IntN(256))
			}
			x, y, side := r.IntN(w), r.IntN(h), 1+r.IntN(1+max(w, h)/2)
			for v := y; v < min(y+side, h); v++ {
				for u := x; u < min(x+side, w); u++ {
					im.SetNRGBA(u, v, ink)
				}
			}
		}
		if !alpha {
			for i := 3; i < len(im.Pix); i += 4 {
				im.Pix[i] = 255
			}
		}
		return im
	}
	gray, wheel := image.NewGray(image.Rect(0, 0, 40, 31)), image.NewPaletted(image.Rect(0, 0, 33, 33), color.Palette{color.White, color.NRGBA{200, 30, 20, 255}, color.NRGBA{10, 80, 220, 255}})
	for i := range gray.Pix {
		gray.Pix[i] = uint8(6*(i%40) + r.IntN(20))
	}
	for i := range wheel.Pix {
		wheel.Pix[i] = uint8(i / 7 % 3)
	}
	var out []string
	for name, im := range map[string]image.Image{
		"large": spots(123, 123, false), "wide": spots(97, 50, false), "high": spots(31, 64, false), "same": spots(16, 16, false), "small": spots(7, 9, false),
		"single": spots(1, 1, false), "clear": spots(60, 41, true), "gray": gray, "palette": wheel, "turned": spots(48, 36, false),
	} {
		var b bytes.Buffer
		if err := png.Encode(&b, im); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name+".png")
		if name == "turned" {
			b = *bytes.NewBuffer(withOrientation(b.Bytes(), 6))
		}
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		out = append(out, path)
	}
	return out
}

// answer is a program's line on a picture.
var answer = regexp.MustCompile(`(?m)^(.+): (.+) ([0-9.]+)\r?$`)

// Each program says of each picture what the classifier of this package says, which is what plateau predict prints.
func TestProgramsAgree(t *testing.T) {
	for name, c := range map[string]struct {
		input    evaluate.Input
		softmax  bool
		channels int
		center   float64
		stored   bool
		takes    Precision // of the file that the programs take for model.onnx
	}{
		"pixels":                         {evaluate.InputPixels, false, 3, 1, false, Float32},
		"normalized, a part of a square": {evaluate.InputNormalized, true, 3, 0.8, true, Float32},
		"gray":                           {evaluate.InputUnit, false, 1, 1, false, Float32},
		"int8":                           {evaluate.InputPixels, false, 3, 1, false, Int8},
		"float16":                        {evaluate.InputPixels, false, 3, 1, false, Float16},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrainedOn(t, everything, c.channels, &dataset.View{Center: c.center, Stored: c.stored})
			tr.amplify(t, 60)
			folder := tr.exported(t, func(s *Settings) {
				s.Input, s.Softmax = c.input, c.softmax
				if c.takes != Float32 {
					s.Also = []Precision{c.takes}
				}
			})
			if c.takes != Float32 {
				if err := os.Rename(filepath.Join(folder, PrecisionFile("model.onnx", c.takes)), filepath.Join(folder, "model.onnx")); err != nil {
					t.Fatal(err)
				}
			}
			files := pictures(t, t.TempDir())
			want := expected(t, filepath.Join(folder, "model.onnx"), files)
			for _, p := range languages() {
				if name != "pixels" && p.name == "Go" && os.Getenv(mustRun) == "" {
					continue // linking it takes seconds
				}
				t.Run(p.name, func(t *testing.T) { p.compare(t, folder, files, want) })
			}
			t.Run("browser", func(t *testing.T) { compareInBrowser(t, folder, files, want) })
		})
	}
}

// expected are the answers of the package's own classifier.
func expected(t *testing.T, model string, files []string) map[string]evaluate.Guess {
	t.Helper()
	c, err := evaluate.OpenClassifier(t.Context(), runtimetest.Open(t), model, evaluate.ClassifierOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // only reads
	out, sure := map[string]evaluate.Guess{}, 0
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		g, err := c.Picture(t.Context(), content)
		if err != nil {
			t.Fatal(err)
		}
		if out[f] = g[0]; g[0].Probability > 0.99 {
			sure++
		}
	}
	if sure == len(files) {
		t.Fatal("the model is sure of every picture, so probabilities would not show a difference")
	}
	return out
}

// amplify multiplies the weights behind the network's pooling, so that small differences of a picture show in probabilities.
func (tr trained) amplify(t *testing.T, by float32) {
	t.Helper()
	parameters, running, err := tr.net.Indexes()
	if err != nil {
		t.Fatal(err)
	}
	weights, err := supernet.LoadWeights(tr.path("weights"), parameters)
	if err != nil {
		t.Fatal(err)
	}
	statistics, err := supernet.LoadWeights(tr.path("weights"), running)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := parameters.Lookup("head.linear.weight")
	if !ok {
		t.Fatal("there is no head.linear.weight")
	}
	for i := range p.Of(weights) {
		p.Of(weights)[i] *= by
	}
	err = supernet.SaveWeights(tr.path("weights"), nil, supernet.Vector{Index: parameters, Data: weights}, supernet.Vector{Index: running, Data: statistics})
	if err != nil {
		t.Fatal(err)
	}
}

// language is a program and how it is started.
type language struct {
	name  string
	start func(t *testing.T, folder, library string) *exec.Cmd // skips where something is missing
}

func languages() []language {
	return []language{{"Go", startGo}, {"Python", startPython}, {"Node", startNode}, {"Java", startJava}, {"Rust", startRust}}
}

func (p language) compare(t *testing.T, folder string, files []string, want map[string]evaluate.Guess) {
	cmd := p.start(t, folder, runtimetest.Open(t).Library())
	cmd.Args = append(cmd.Args, files...)
	cmd.Env = append(cmd.Env, "MODEL="+folder)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	checkAnswers(t, stdout.String(), want)
}

func checkAnswers(t *testing.T, said string, want map[string]evaluate.Guess) {
	t.Helper()
	got := answer.FindAllStringSubmatch(said, -1)
	if len(got) != len(want) {
		t.Fatalf("%d answers to %d pictures: %s", len(got), len(want), said)
	}
	for _, g := range got {
		probability, err := strconv.ParseFloat(g[3], 64)
		w, ok := want[g[1]]
		allowed := 1e-4
		if filepath.Base(g[1]) == "clear.png" {
			allowed = 1e-3 // half transparent pixels on white are rounded differently, by one of 255
		}
		if err != nil || !ok || g[2] != w.Class || math.Abs(probability-w.Probability) > allowed {
			t.Errorf("%s: %s with %s instead of %s with %.6f", filepath.Base(g[1]), g[2], g[3], w.Class, w.Probability)
		}
	}
}

// compareInBrowser serves the folder as the page's first lines say, and lets the page read the pictures.
func compareInBrowser(t *testing.T, folder string, files []string, want map[string]evaluate.Guess) {
	modules := filepath.Join(os.Getenv(nodeVariable), "node_modules")
	if _, err := os.Stat(filepath.Join(modules, "onnxruntime-web")); os.Getenv(nodeVariable) == "" || err != nil {
		missing(t, "%s names no folder with onnxruntime-web", nodeVariable)
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(folder)))
	mux.Handle("/node_modules/", http.StripPrefix("/node_modules/", http.FileServer(http.Dir(modules))))
	mux.Handle("/pictures/", http.StripPrefix("/pictures/", http.FileServer(http.Dir(filepath.Dir(files[0])))))
	s := httptest.NewServer(mux)
	defer s.Close()
	b := browsertest.Open(t)
	b.Visit(s.URL + "/predict.html")
	b.Await("A picture:")
	named := map[string]evaluate.Guess{}
	var said strings.Builder
	for _, f := range files {
		name := filepath.Base(f)
		named[name] = want[f]
		said.WriteString(b.Eval(fmt.Sprintf(`fetch("pictures/%[1]s").then((r) => r.blob()).then((b) => predict(new File([b], %[1]q)))`, name)) + "\n")
	}
	checkAnswers(t, said.String(), named)
}

// missing skips a test, or fails it where everything must be there.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv(mustRun) != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format+"; the task examples runs it", args...)
}

// command is a program of the system with at most a minute of time.
func command(t *testing.T, env []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "there is no %s", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

func startGo(t *testing.T, folder, library string) *exec.Cmd {
	// Its one dependency is this module's too, so it is run as a file of it.
	return command(t, []string{"ONNXRUNTIME=" + library}, "go", "run", filepath.Join(folder, "predict.go"))
}

func startPython(t *testing.T, folder, _ string) *exec.Cmd {
	python := os.Getenv(pythonVariable)
	if python == "" {
		python = "python3"
	}
	if err := command(t, nil, python, "-c", "import onnxruntime, numpy, PIL").Run(); err != nil {
		missing(t, "%s has no onnxruntime, numpy and pillow (%s names one that has)", python, pythonVariable)
	}
	return command(t, nil, python, filepath.Join(folder, "predict.py"))
}

func startNode(t *testing.T, folder, _ string) *exec.Cmd {
	env := []string{"NODE_PATH=" + os.Getenv("NODE_PATH")}
	if dir := os.Getenv(nodeVariable); dir != "" {
		env = []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")}
	}
	if err := command(t, env, "node", "-e", `require("onnxruntime-node"); require("sharp")`).Run(); err != nil {
		missing(t, "node has no onnxruntime-node and sharp (%s names a folder with them)", nodeVariable)
	}
	return command(t, env, "node", filepath.Join(folder, "predict.cjs"))
}

func startJava(t *testing.T, folder, _ string) *exec.Cmd {
	jar := os.Getenv(javaVariable)
	if jar == "" {
		missing(t, "%s names no onnxruntime.jar", javaVariable)
	}
	return command(t, nil, "java", "-cp", jar, filepath.Join(folder, "Predict.java"))
}

func startRust(t *testing.T, folder, library string) *exec.Cmd {
	target := os.Getenv(rustVariable)
	if target == "" {
		missing(t, "%s names no folder to build in", rustVariable)
	}
	return command(t, []string{"ORT_DYLIB_PATH=" + library, "CARGO_TARGET_DIR=" + target}, "cargo", "run", "--quiet", "--release", "--manifest-path", filepath.Join(folder, "Cargo.toml"), "--")
}

// withOrientation adds to a PNG file the EXIF data of a camera that was held so.
func withOrientation(file []byte, orientation byte) []byte {
	chunk := append([]byte("eXIfMM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"), orientation, 0, 0, 0, 0, 0, 0)
	whole := binary.BigEndian.AppendUint32(nil, uint32(len(chunk)-4))
	whole = binary.BigEndian.AppendUint32(append(whole, chunk...), crc32.ChecksumIEEE(chunk))
	const header = 33 // signature and IHDR
	return slices.Concat(file[:header], whole, file[header:])
}
