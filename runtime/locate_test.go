package runtime

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// buildLibrary compiles a shared library that exports symbol with the version node that ONNX Runtime would have, or
// without one when version is empty.
func buildLibrary(t *testing.T, path, symbol, version string) {
	t.Helper()
	if goruntime.GOOS != "linux" {
		t.Skip("makes libraries as the linker of Linux does")
	}
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("needs a C compiler")
	}
	dir := t.TempDir()
	source, script := filepath.Join(dir, "lib.c"), filepath.Join(dir, "lib.map")
	write(t, source, fmt.Appendf(nil, "void *%s(void) { return 0; }\n", symbol))
	write(t, script, fmt.Appendf(nil, "VERS_%s { global: %s; };\n", version, symbol))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	arguments := []string{"-shared", "-fPIC", "-o", path, source}
	if version != "" {
		arguments = append(arguments, "-Wl,--version-script="+script)
	}
	if out, err := exec.Command(compiler, arguments...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestSearchOrder(t *testing.T) {
	npm := newFakeNPM(t, "")
	dir := t.TempDir()
	setting := filepath.Join(dir, "setting", "libonnxruntime.so")
	system := filepath.Join(dir, "system", "libonnxruntime.so.1.27.0")
	buildLibrary(t, setting, "OrtGetApiBase", "1.27.0")
	buildLibrary(t, system, "OrtGetApiBase", "1.27.1")
	if _, err := npm.finder().find(t.Context()); err != nil { // fills the cache
		t.Fatal(err)
	}
	everything := npm.finder()
	everything.setting, everything.folders = setting, []string{filepath.Dir(system)}
	for _, step := range []struct {
		want located
		drop func()
	}{
		{located{setting, "1.27.0", FromSetting}, func() { everything.setting = filepath.Dir(setting) }},
		{located{setting, "1.27.0", FromSetting}, func() { everything.setting = "" }},
		{located{system, "1.27.1", FromSystem}, func() { everything.folders = nil }},
		{located{filepath.Join(npm.cache.dir(), "libonnxruntime.so.1"), Version, FromCache}, func() { os.RemoveAll(npm.cache.dir()) }},
		{located{filepath.Join(npm.cache.dir(), "libonnxruntime.so.1"), Version, FromNPM}, func() {}},
	} {
		got, err := everything.find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Error(diff)
		}
		step.drop()
	}
}

func TestUnusableSystemLibrariesAreSkipped(t *testing.T) {
	npm := newFakeNPM(t, "")
	dir := t.TempDir()
	path := func(folder string) string { return filepath.Join(dir, folder, "libonnxruntime.so.1") }
	buildLibrary(t, path("old"), "OrtGetApiBase", "1.22.0")
	buildLibrary(t, path("unknown"), "OrtGetApiBase", "")
	buildLibrary(t, path("other"), "something_else", "1.27.0")
	write(t, path("text"), []byte("hello"))
	library, err := os.ReadFile(path("old"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, path("cut"), library[:len(library)/4])
	f := npm.finder()
	for _, folder := range []string{"missing", "old", "old", "unknown", "other", "text", "cut"} {
		f.folders = append(f.folders, filepath.Join(dir, folder))
	}
	lib, err := f.find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if lib.Source != FromNPM {
		t.Errorf("found %+v, expected it to be fetched", lib)
	}
	said := strings.Join(*npm.lines, "\n")
	for _, want := range []string{"it is version 1.22.0, 1.27.0 is needed", "does not state its version", "does not export OrtGetApiBase", "not an ELF shared library"} {
		if !strings.Contains(said, want) {
			t.Errorf("nobody was told %q in:\n%s", want, said)
		}
	}
	if n := strings.Count(said, "1.22.0"); n != 1 {
		t.Errorf("the old library was reported %d times, expected once", n)
	}
	if n := strings.Count(said, "skipping"); n != 5 {
		t.Errorf("%d libraries were skipped aloud, expected 5:\n%s", n, said)
	}
}

func TestUnusableSetting(t *testing.T) {
	dir := t.TempDir()
	old, text, empty := filepath.Join(dir, "old.so"), filepath.Join(dir, "text.so"), filepath.Join(dir, "empty")
	buildLibrary(t, old, "OrtGetApiBase", "1.22.0")
	write(t, text, []byte("hello"))
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	for setting, want := range map[string]string{
		filepath.Join(dir, "nowhere.so"): "there is no such file",
		old:                              "it is version 1.22.0, 1.27.0 is needed",
		text:                             "not an ELF shared library",
		empty:                            "the folder holds no libonnxruntime.so",
	} {
		f := &finder{platform: platformOf("linux", goruntime.GOARCH), setting: setting, log: func(string) {}}
		_, err := f.find(t.Context())
		wantEnvironmentError(t, err, setting, want, LibraryVariable)
	}
}

func TestPlatforms(t *testing.T) {
	for _, c := range []struct{ os, arch, file string }{
		{"linux", "amd64", "package/bin/napi-v6/linux/x64/libonnxruntime.so.1"},
		{"linux", "arm64", "package/bin/napi-v6/linux/arm64/libonnxruntime.so.1"},
		{"darwin", "arm64", "package/bin/napi-v6/darwin/arm64/libonnxruntime.1.27.0.dylib"},
		{"windows", "amd64", "package/bin/napi-v6/win32/x64/onnxruntime.dll"},
	} {
		p := platformOf(c.os, c.arch)
		if got := p.folder + "/" + p.files[0]; got != c.file {
			t.Errorf("%s: the package's file is %s, expected %s", p, got, c.file)
		}
	}
}

func TestSystemFoldersFollowTheLoader(t *testing.T) {
	environment := map[string]string{"LD_LIBRARY_PATH": strings.Join([]string{"/first", "relative", "", "/second/"}, string(os.PathListSeparator))}
	got := platformOf("linux", "arm64").systemFolders(func(name string) string { return environment[name] })
	want := []string{"/first", "/second", "/usr/local/lib", "/usr/local/lib64", "/opt/onnxruntime/lib", "/usr/lib/aarch64-linux-gnu"}
	if goruntime.GOOS == "windows" {
		t.Skip("paths of Linux are not absolute here")
	}
	if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
		t.Error(diff)
	}
}
