package serve

import (
	"bytes"
	"context"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"image/png"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/evaluate"
	"github.com/plateau-nas/plateau/stages/report/frame"
	"github.com/plateau-nas/plateau/stages/report/local"
)

const (
	// MaxUpload is the largest picture in bytes.
	MaxUpload = 64 << 20
	// atOnce bounds the pictures that are worked on at once; a large one takes some hundred megabytes while it is decoded.
	atOnce = 2
	// defaultTop is how many classes an answer has that does not ask for a number.
	defaultTop = 10
	// listed is how many classes the page names.
	listed = 1000
	// patience bounds how long one request may take to arrive and to be answered.
	patience = 2 * time.Minute

	policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src data: blob:; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

//go:embed page
var files embed.FS

// Answer is what the server says of a picture.
type Answer struct {
	Classes      []evaluate.Guess `json:"classes"` // the most probable first
	Milliseconds float64          `json:"milliseconds"`
	// Seen is what the model was shown, as the address of a PNG file's data; only where seen=1 asks for it.
	Seen string `json:"seen,omitempty"`
}

// Refusal is the answer where there is none.
type Refusal struct {
	Error string `json:"error"`
}

// Page serves the page and its answers.
type Page struct {
	classifier *evaluate.Classifier
	page       []byte
	script     []byte
	turns      chan struct{} // holds a place for each picture that is worked on
}

var _ http.Handler = (*Page)(nil)

// view is what the page's template shows.
type view struct {
	frame.Page
	Model   string
	Classes []string
	More    int // classes that are not listed
	Named   bool
	Size    int
	Center  float64
	Max     int // megabytes
}

// New returns the page of a classifier, which the caller closes when the page is not served any more. name is what the model is called.
func New(c *evaluate.Classifier, name string) (*Page, error) {
	v := view{Page: frame.Page{Title: "plateau: " + name}, Model: name, Classes: c.Classes(), Size: c.View().Size, Center: c.View().Center, Max: MaxUpload >> 20}
	v.Named = len(v.Classes) > 0
	if v.More = len(v.Classes) - listed; v.More > 0 {
		v.Classes = v.Classes[:listed]
	}
	t, err := frame.Parse(files, template.FuncMap{"percent": func(share float64) string { return strconv.FormatFloat(100*share, 'g', 4, 64) + "%" }}, "page/*.html")
	if err != nil {
		return nil, err
	}
	style, err := frame.Style()
	if err != nil {
		return nil, err
	}
	own, err := files.ReadFile("page/serve.css")
	if err != nil {
		return nil, fmt.Errorf("reading the style of the page: %w", err)
	}
	v.Style = style + template.CSS(own)
	p := &Page{classifier: c, turns: make(chan struct{}, atOnce)}
	if p.script, err = files.ReadFile("page/serve.js"); err != nil {
		return nil, fmt.Errorf("reading the script of the page: %w", err)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "page.html", v); err != nil {
		return nil, fmt.Errorf("filling in the page: %w", err)
	}
	p.page = b.Bytes()
	return p, nil
}

// ServeHTTP implements http.Handler. It answers this machine only.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	methods := []string{http.MethodGet, http.MethodHead}
	if r.URL.Path == "/predict" {
		methods = []string{http.MethodPost}
	}
	if !local.Allow(w, r, policy, methods...) {
		return
	}
	h := w.Header()
	h.Set("Permissions-Policy", "camera=(self), microphone=()")
	send := func(kind string, content []byte) {
		h.Set("Content-Type", kind+"; charset=utf-8")
		_, _ = w.Write(content) // if the browser is gone, nobody is there to be told
	}
	switch r.URL.Path {
	case "/":
		send("text/html", p.page)
	case "/serve.js":
		send("text/javascript", p.script)
	case "/predict":
		p.predict(w, r)
	default:
		http.NotFound(w, r)
	}
}

// predict answers a picture.
func (p *Page) predict(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(patience)) // a server of a test may have none
	answer, status, err := p.answer(w, r)
	if r.Context().Err() != nil {
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	var text []byte
	if err == nil {
		text, err = json.Marshal(answer)
	}
	if err != nil {
		w.WriteHeader(status)
		text, _ = json.Marshal(Refusal{err.Error()}) // a text always marshals
	}
	_, _ = w.Write(append(text, '\n')) // if the client is gone, nobody is there to be told
}

// answer reads the picture of a request and classifies it. The status is for the error.
func (p *Page) answer(w http.ResponseWriter, r *http.Request) (*Answer, int, error) {
	top := defaultTop
	if text := r.URL.Query().Get("top"); text != "" {
		var err error
		if top, err = strconv.Atoi(text); err != nil || top < 0 {
			return nil, http.StatusBadRequest, fmt.Errorf("top=%s: want the number of classes, or 0 for all", text)
		}
	}
	picture, err := upload(w, r)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the picture is larger than %d MiB; send a smaller one", MaxUpload>>20)
	case err != nil:
		return nil, http.StatusBadRequest, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
	case <-ctx.Done():
		return nil, http.StatusServiceUnavailable, errors.New("too many pictures at once; try again")
	}
	start := time.Now()
	image, err := dataset.ReadPicture(picture, p.classifier.View())
	if err != nil {
		return nil, http.StatusUnprocessableEntity, err
	}
	guesses, err := p.classifier.Images(ctx, []*dataset.Images{image})
	if err != nil {
		return nil, http.StatusInternalServerError, err
	}
	out := &Answer{Classes: guesses[0], Milliseconds: float64(time.Since(start).Microseconds()) / 1000}
	if top > 0 {
		out.Classes = out.Classes[:min(top, len(out.Classes))]
	}
	if r.URL.Query().Get("seen") == "1" {
		var b bytes.Buffer
		if err := png.Encode(&b, image.Image(0)); err != nil {
			return nil, http.StatusInternalServerError, fmt.Errorf("encoding what the model was shown: %w", err)
		}
		out.Seen = "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
	}
	return out, http.StatusOK, nil
}

// upload reads the picture: the body, or the first file of a form.
func upload(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxUpload)
	body := io.Reader(r.Body)
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == "multipart/form-data" {
		form, err := r.MultipartReader()
		if err != nil {
			return nil, fmt.Errorf("reading the form: %w", err)
		}
		for {
			part, err := form.NextPart()
			if err == io.EOF {
				return nil, errors.New("the form has no file; send one, as curl -F picture=@photo.jpg does")
			}
			if err != nil {
				return nil, fmt.Errorf("reading the form: %w", err)
			}
			if part.FileName() != "" {
				body = part
				break
			}
		}
	}
	picture, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("reading the picture: %w", err)
	}
	if len(picture) == 0 {
		return nil, errors.New("the request has no picture; send its bytes, as curl --data-binary @photo.jpg does")
	}
	return picture, nil
}
