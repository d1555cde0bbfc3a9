package dataset

import (
	"errors"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/pipeline"
)

// Looking at a folder finds what making the data set would stop at, and nothing where it would not.
func TestInspectAgreesWithMake(t *testing.T) {
	for name, c := range map[string]struct {
		build func(root string)
		want  string
		skip  bool
	}{
		"whole": {func(string) {}, "", false},
		"bad pictures": {func(root string) {
			putFile(t, nil, root, "a", "x.jpg")
			putFile(t, []byte("<html>"), root, "b", "y.png")
		}, "2 pictures of ", false},
		"bad pictures skipped": {func(root string) { putFile(t, nil, root, "a", "x.jpg") }, "", true},
		"small class":          {func(root string) { putClass(t, 1, 5, root, "c") }, `the class "c" has 1 images`, false},
		"small class of bad": {func(root string) {
			for _, n := range []string{"1.png", "2.png", "3.png", "4.png", "5.png", "6.png"} {
				putFile(t, []byte(n), root, "c", n)
			}
			putClass(t, 1, 5, root, "c")
		}, `the class "c" has 1 images`, true},
		"empty class": {func(root string) { putFile(t, nil, root, "c", "x.heic") }, "1 .heic", false},
	} {
		root := t.TempDir()
		putClass(t, 8, 1, root, "a")
		putClass(t, 8, 2, root, "b")
		c.build(root)
		s := folderSettings(root)
		if c.skip {
			s.OnBad = OnBadSkip
		}
		found := s.Inspect(t.Context())
		_, made := Make(t.Context(), s, 1)
		if (found == nil) != (made == nil) || (found == nil) != (c.want == "") {
			t.Errorf("%s: looking found %v, making %v", name, found, made)
		}
		var setting *pipeline.SettingError
		if found != nil && (!strings.Contains(found.Error(), c.want) || !errors.As(found, &setting) || setting.Path != "path") {
			t.Errorf("%s: %v does not say %q about the path", name, found, c.want)
		}
	}
	s := folderSettings("nowhere")
	if err := s.Inspect(t.Context()); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
	if s := DefaultSettings(); s.Inspect(t.Context()) != nil {
		t.Error("shapes have no files")
	}
}

func TestSizeOf(t *testing.T) {
	s := DefaultSettings()
	s.Size = 30
	if n := SizeOf([]pipeline.Stage{&s}); n != 30 {
		t.Error(n)
	}
	s.Source, s.Size = SourceIDX, 0
	if n := SizeOf([]pipeline.Stage{&s}); n != 0 {
		t.Error(n)
	}
	if CheckReduced("image_size", 16, 0) != nil || CheckReduced("image_size", 16, 16) != nil || CheckReduced("image_size", 0, 8) != nil || CheckReduced("image_size", 16, 8) == nil {
		t.Error("what can be reduced")
	}
}
