package serve_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/plateau-nas/plateau/exporter/graph"
	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/internal/browsertest"
	"github.com/plateau-nas/plateau/stages/report/serve"
)

func TestMain(m *testing.M) { runtimetest.Main(m) }

// classifier opens a small model whose scores are the means of red, green and blue, times five.
func classifier(t *testing.T) *evaluate.Classifier {
	t.Helper()
	g := graph.New("brightest")
	g.Output("scores", graph.Mul(graph.ReduceMean(g.Input("images", graph.Float32, []int{1, 3, 6, 6}, ""), false, 2, 3), g.Scalar(5)), "")
	m, err := g.Model(graph.ModelOptions{DynamicBatch: true})
	if err != nil {
		t.Fatal(err)
	}
	onnx.SetMetadata(m, map[string]string{evaluate.KeyClasses: `["red","green & <b>lush</b>","blue"]`, evaluate.KeyInput: "unit", evaluate.KeyOutput: "logits"})
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := onnx.Save(path, m, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	c, err := evaluate.OpenClassifier(t.Context(), runtimetest.Open(t), path, evaluate.ClassifierOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// greenOnBlue is a picture of 12x6 pixels: its center square is green, what lies beside it blue.
func greenOnBlue(t *testing.T) []byte {
	t.Helper()
	im := image.NewRGBA(image.Rect(0, 0, 12, 6))
	for p := range 72 {
		ink := color.RGBA{B: 255, A: 255}
		if x := p % 12; x >= 3 && x < 9 {
			ink = color.RGBA{G: 204, A: 255}
		}
		im.SetRGBA(p%12, p/12, ink)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func start(t *testing.T) *httptest.Server {
	t.Helper()
	page, err := serve.New(classifier(t), "brightest")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(page)
	t.Cleanup(s.Close)
	return s
}

// post sends a body and returns the status and the answer's text.
func post(t *testing.T, url, kind string, body io.Reader) (int, string) {
	t.Helper()
	r, err := http.Post(url, kind, body)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

func TestPredict(t *testing.T) {
	url := start(t).URL + "/predict"
	picture := greenOnBlue(t)
	form := &bytes.Buffer{}
	w := multipart.NewWriter(form)
	_ = w.WriteField("note", "no picture")
	file, err := w.CreateFormFile("picture", "p.png")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(picture)
	_ = w.Close()
	best := math.Exp(4) / (math.Exp(4) + 2)
	for name, c := range map[string]struct {
		query, kind string
		body        io.Reader
		classes     int
	}{
		"bytes":       {"", "application/octet-stream", bytes.NewReader(picture), 3},
		"a form":      {"?top=0", w.FormDataContentType(), form, 3},
		"one class":   {"?top=1", "image/png", bytes.NewReader(picture), 1},
		"more than 3": {"?top=9", "", bytes.NewReader(picture), 3},
	} {
		status, text := post(t, url+c.query, c.kind, c.body)
		var got serve.Answer
		if err := json.Unmarshal([]byte(text), &got); status != 200 || err != nil || len(got.Classes) != c.classes {
			t.Fatalf("%s: %d %v %s", name, status, err, text)
		}
		if g := got.Classes[0]; g.Index != 1 || math.Abs(g.Probability-best) > 1e-6 || got.Seen != "" || got.Milliseconds <= 0 {
			t.Errorf("%s: %+v, want %v", name, got, best)
		}
	}
	_, text := post(t, url+"?seen=1", "image/png", bytes.NewReader(picture))
	var got serve.Answer
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	data, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(got.Seen, "data:image/png;base64,"))
	if err != nil {
		t.Fatal(err)
	}
	seen, err := png.Decode(bytes.NewReader(data))
	if err != nil || seen.Bounds().Dx() != 6 {
		t.Fatalf("%v, %v", err, seen)
	}
	if r, g, b, _ := seen.At(0, 5).RGBA(); r != 0 || g>>8 != 204 || b != 0 {
		t.Errorf("the model was shown %v %v %v", r, g, b)
	}
}

func TestPredictRefuses(t *testing.T) {
	s := start(t)
	empty := &bytes.Buffer{}
	w := multipart.NewWriter(empty)
	_ = w.WriteField("note", "no picture")
	_ = w.Close()
	for _, c := range []struct {
		query, kind string
		body        io.Reader
		status      int
		want        string
	}{
		{"", "", strings.NewReader("these are words"), 422, "not a "},
		{"", "", strings.NewReader(""), 400, "the request has no picture"},
		{"", w.FormDataContentType(), empty, 400, "the form has no file"},
		{"?top=many", "", bytes.NewReader(greenOnBlue(t)), 400, "top=many"},
		{"", "", io.LimitReader(zeros{}, serve.MaxUpload+1), 413, "larger than 64 MiB"},
	} {
		status, text := post(t, s.URL+"/predict"+c.query, c.kind, c.body)
		var got serve.Refusal
		if err := json.Unmarshal([]byte(text), &got); err != nil || status != c.status || !strings.Contains(got.Error, c.want) {
			t.Errorf("%v, %d %s, want %d and %q", err, status, text, c.status, c.want)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Other hosts' names, other sites' pages and other methods get nothing.
func TestOnlyThisMachineIsServed(t *testing.T) {
	page, err := serve.New(classifier(t), "brightest")
	if err != nil {
		t.Fatal(err)
	}
	picture := greenOnBlue(t)
	for _, c := range []struct {
		method, host, path, origin string
		want                       int
	}{
		{"GET", "127.0.0.1:1234", "/", "", 200}, {"GET", "localhost:80", "/serve.js", "", 200}, {"GET", "[::1]:80", "/", "", 200}, {"GET", "localhost", "/nothing", "", 404},
		{"GET", "example.com", "/", "", 403}, {"POST", "127.0.0.1.example.com:80", "/predict", "", 403}, {"POST", "localhost", "/", "", 405}, {"GET", "localhost", "/predict", "", 405},
		{"POST", "localhost:80", "/predict", "", 200}, {"POST", "localhost:80", "/predict", "http://localhost:80", 200}, {"POST", "localhost:80", "/predict", "https://example.com", 403},
		{"POST", "localhost:80", "/predict", "null", 403},
	} {
		r := httptest.NewRequest(c.method, "http://"+c.host+c.path, bytes.NewReader(picture))
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s %s%s from %q: %d, want %d", c.method, c.host, c.path, c.origin, w.Code, c.want)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "http") {
			t.Errorf("%s: policy %q", c.path, csp)
		}
		if c.path == "/" && w.Code == 200 && (!strings.Contains(w.Body.String(), "green &amp; &lt;b&gt;lush&lt;/b&gt;") || strings.Contains(w.Body.String(), "//cdn")) {
			t.Error("the page does not name the classes as they are")
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	url, picture := start(t).URL+"/predict", greenOnBlue(t)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			r, err := http.Post(url, "image/png", bytes.NewReader(picture))
			if err != nil || r.StatusCode != 200 {
				t.Error(r, err)
				return
			}
			_ = r.Body.Close()
		})
	}
	all.Wait()
}

// Everything can be reached and done by keyboard alone, in the order in which it is seen, and shows where one is.
func TestTheKeyboardIsEnough(t *testing.T) {
	b := browsertest.Open(t, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
	b.Visit(start(t).URL + "/")
	b.Await("What does the picture show?")
	b.Look("empty")
	var reached []string
	for range 7 {
		b.Press("Tab")
		reached = append(reached, b.Eval(`document.activeElement.id || document.activeElement.textContent.trim()`))
		if got := b.Eval(`(() => { const e = document.activeElement, shown = e.closest("label") || e; return getComputedStyle(shown).outlineStyle !== "none"; })()`); got != "true" {
			t.Errorf("nothing shows that %s has the focus", reached[len(reached)-1])
		}
	}
	if got := strings.Join(reached, ", "); !strings.HasPrefix(got, "plateau, Picture, Classes, In a program, file, camera, curl --data-binary @photo.jpg") {
		t.Errorf("the tabulator reaches %s", got)
	}
	if got := b.Eval(`document.getElementById("file").labels[0].textContent.trim()`); got != "Choose a file" {
		t.Errorf("the file is asked for by %q", got)
	}
	b.Eval(`document.getElementById("camera").focus()`)
	b.Press("Enter")
	b.Await("Stop the camera")
	b.Await("%, in ")
	b.Look("camera")
	b.Press("Enter")
	b.Await("Use the camera")
}

// The page in a browser, under its own policy: a picture is dropped, a file is no picture, the camera looks.
func TestTheBrowserShowsProbabilities(t *testing.T) {
	b := browsertest.Open(t, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
	b.Visit(start(t).URL + "/")
	b.Await("What does the picture show?")
	dropped := func(content []byte) {
		b.Eval(fmt.Sprintf(`(() => {
			const bytes = Uint8Array.from(atob(%q), (c) => c.charCodeAt(0));
			const data = new DataTransfer();
			data.items.add(new File([bytes], "p.png", { type: "image/png" }));
			document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
		})()`, base64.StdEncoding.EncodeToString(content)))
	}
	dropped(greenOnBlue(t))
	b.Await("green & <b>lush</b> 96.5%")
	b.Await("1.8%") // each of the others
	if got := b.Eval(`getComputedStyle(document.querySelector("#bars i")).width !== "0px" && document.getElementById("seen").naturalWidth`); got != "6" {
		t.Errorf("what the model was shown has the width %s", got)
	}
	b.Look("answer")
	dropped([]byte("these are words"))
	b.Await("not a ")
	b.Eval(`document.getElementById("camera").click()`)
	b.Await("Stop the camera")
	b.Await("%, in ")
	b.Eval(`document.getElementById("camera").click()`)
	b.Await("Use the camera")
	// Nothing was asked of any other host.
	if got := b.Eval(`performance.getEntriesByType("resource").filter((r) => !r.name.startsWith(location.origin) && !r.name.startsWith("blob:") && !r.name.startsWith("data:")).length`); got != "0" {
		t.Errorf("%s requests went elsewhere", got)
	}
}
