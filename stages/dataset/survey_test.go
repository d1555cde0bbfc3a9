package dataset

import (
	"context"
	pixel "image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSurveyCountsWithoutReading(t *testing.T) {
	dir := t.TempDir()
	putClass(t, 3, 10, dir, "a")
	putClass(t, 2, 20, dir, "b")
	for _, name := range []string{"large1.png", "large2.png", "large3.png", "large4.png"} {
		putImage(t, plain(50, 40, pixel.White), dir, "b", name)
	}
	putFile(t, []byte("not a picture"), dir, "b", "odd.png")
	putFile(t, []byte("notes"), dir, "notes.txt")
	f, err := Survey(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	small := f.Side
	if d := cmp.Diff([]string{"a", "b"}, f.Classes) + cmp.Diff([]int{3, 7}, f.Train); d != "" || f.Test != nil || !strings.Contains(f.Note, "skipped 1") {
		t.Errorf("%s, %v, %s", d, f.Test, f.Note)
	}
	for _, name := range []string{"5.png", "6.png", "7.png"} {
		putImage(t, plain(50, 40, pixel.White), dir, "b", name)
	}
	if f, err = Survey(context.Background(), dir); err != nil || f.Side != 40 || small > 40 {
		t.Errorf("side %d, then %d: %v", small, f.Side, err)
	}
	if f.Enough(0.3) < 5 {
		t.Errorf("%d images are enough", f.Enough(0.3))
	}

	divided := t.TempDir()
	for _, class := range []string{"a", "b"} {
		putClass(t, 4, 10, divided, "train", class)
		putClass(t, 1, 20, divided, "test", class)
	}
	if f, err = Survey(context.Background(), divided); err != nil || cmp.Diff([]int{4, 4}, f.Train)+cmp.Diff([]int{1, 1}, f.Test) != "" {
		t.Errorf("%v, %v, %v", f, f, err)
	}

	odd := t.TempDir()
	for _, class := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(odd, class), 0o777); err != nil {
			t.Fatal(err)
		}
		putFile(t, []byte("\x89PNG\r\n\x1a\nbut damaged"), odd, class, "1.png")
	}
	if _, err := Survey(context.Background(), odd); err == nil || !strings.Contains(err.Error(), "no picture could be read") {
		t.Error(err)
	}
}
