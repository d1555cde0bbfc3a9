package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/stages/dataset"
)

// The document that is written is valid, plans, and says what was found.
func TestInitWritesADocumentThatPlans(t *testing.T) {
	t.Chdir(t.TempDir())
	pictures := filepath.Join(t.TempDir(), `my "best" flowers`)
	if err := os.Rename(writePictures(t), pictures); err != nil {
		t.Fatal(err)
	}
	out, said, err := call(t, "init", pictures)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"9 images in 3 classes; wrote my-best-flowers.yaml", "  plateau plan my-best-flowers.yaml\n", "  plateau run my-best-flowers.yaml\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q does not say %q", out, want)
		}
	}
	if !strings.Contains(said, `has 3 images; 5 a class are the least`) {
		t.Errorf("%q does not warn", said)
	}
	text, err := os.ReadFile("my-best-flowers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 classes (blue, green, red), 3 or more a class", "size: 16\n", `my \"best\" flowers"`, "runs/my-best-flowers/export/model.onnx"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the document does not say %q:\n%s", want, text)
		}
	}
	if _, _, err := call(t, "validate", "my-best-flowers.yaml"); err == nil || !strings.Contains(err.Error(), "leaves none for the test split") {
		t.Errorf("three images a class are valid: %v", err)
	}
	addPictures(t, pictures, 8)
	if _, _, err := call(t, "validate", "my-best-flowers.yaml"); err != nil {
		t.Error(err)
	}
	if _, _, err := call(t, "validate", "my-best-flowers.yaml", "--set", "variables.baselines=true"); err != nil {
		t.Error(err)
	}
	plan, _, err := call(t, "plan", "my-best-flowers.yaml", "--store", t.TempDir())
	if err != nil || !strings.Contains(plan, "evaluate") {
		t.Errorf("%v, %s", err, plan)
	}

	if _, _, err := call(t, "init", pictures); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("%v", err)
	}
	out, _, err = call(t, "init", pictures, "--force", "--json", "--name", "second", "-o", "my-best-flowers.yaml")
	var p proposal
	if err != nil || json.Unmarshal([]byte(out), &p) != nil || p.Name != "second" || p.Images != 33 || p.File != "my-best-flowers.yaml" {
		t.Errorf("%v, %s", err, out)
	}
	for want, args := range map[string][]string{
		"no such file":                      {"nowhere"},
		"is a file; give the folder":        {"my-best-flowers.yaml"},
		"holds no folders":                  {t.TempDir()},
		"--name a b: want letters, digits,": {pictures, "--name", "a b"},
	} {
		if _, _, err := call(t, append([]string{"init"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("init %v: %v does not say %q", args, err, want)
		}
	}
}

// addPictures puts so many more pictures, no two alike, into every folder of dir.
func addPictures(t *testing.T, dir string, count int) {
	t.Helper()
	classes, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for c, class := range classes {
		for i := range count {
			im := image.NewRGBA(image.Rect(0, 0, 16, 16))
			for p := range 256 {
				im.Set(p%16, p/16, color.RGBA{uint8(p * (i + 1)), uint8(40 * c), uint8(p + 9*i), 255})
			}
			var b bytes.Buffer
			if err := png.Encode(&b, im); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, class.Name(), fmt.Sprintf("more%d.png", i)), b.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Few images get many epochs, and many images few; small pictures are not enlarged.
func TestProposals(t *testing.T) {
	for name, c := range map[string]struct {
		folder                             dataset.Folder
		size, batch, search, train, fewest int
	}{
		"few":                 {dataset.Folder{Train: []int{100, 80}, Side: 300}, 32, 32, 32, 100, 80},
		"thousands":           {dataset.Folder{Train: []int{2500, 2500}, Side: 300}, 32, 64, 32, 48, 2500},
		"tens of thousands":   {dataset.Folder{Train: []int{40000, 20000}, Test: []int{10, 10}, Side: 300}, 32, 64, 32, 30, 20000},
		"small pictures":      {dataset.Folder{Train: []int{100, 80}, Side: 23}, 20, 32, 32, 100, 80},
		"a handful":           {dataset.Folder{Train: []int{9, 9}, Side: 300}, 32, 32, 14, 100, 9},
		"very small pictures": {dataset.Folder{Train: []int{100, 80}, Side: 5}, 16, 32, 32, 100, 80},
	} {
		c.folder.Classes = []string{"a", "b"}
		p := propose(&c.folder)
		if p.Size != c.size || p.Batch != c.batch || p.SearchImages != c.search || p.Train != c.train || p.Fewest != c.fewest {
			t.Errorf("%s: size %d, batch %d, %d images for the search and %d epochs, fewest %d", name, p.Size, p.Batch, p.SearchImages, p.Train, p.Fewest)
		}
	}
	for folder, want := range map[string]string{"flowers": "flowers", "images": "my-images", "Ünï": "n", "...": "my", "a b": "a-b"} {
		if got := nameOf(folder); got != want {
			t.Errorf("name %q of %q, want %q", got, folder, want)
		}
	}
}
