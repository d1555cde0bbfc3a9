package checkpoint_test

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/checkpoint"
)

type state struct {
	Epoch int     `json:"epoch"`
	Rate  float64 `json:"rate"`
	Note  string  `json:"note"`
}

// bits compares vectors by their bits: what is not a number is kept too.
var bits = cmp.Comparer(func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })

// like returns vectors of the same names and lengths, filled with something else.
func like(vectors map[string][]float32) map[string][]float32 {
	out := map[string][]float32{}
	for name, v := range vectors {
		out[name] = make([]float32, len(v))
		for i := range out[name] {
			out[name][i] = -7
		}
	}
	return out
}

func example() (state, map[string][]float32) {
	return state{Epoch: 3, Rate: 0.025, Note: "half way"}, map[string][]float32{
		"params": {1, -2.5, 3e-7, 0}, "momentum": {0, 0.5, float32(math.Inf(1)), 4}, "alpha": {0.1},
	}
}

func saved(t *testing.T) (path string, data []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "checkpoint")
	st, vectors := example()
	if err := checkpoint.Save(path, st, vectors); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, data
}

func TestWhatIsSavedIsLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Map(rapid.Uint32(), math.Float32frombits)
		want := rapid.MapOfN(rapid.StringMatching(`[a-z_/.]{1,12}`), rapid.SliceOfN(number, 0, 20), 0, 5).Draw(t, "vectors")
		st := state{rapid.Int().Draw(t, "epoch"), rapid.Float64().Draw(t, "rate"), rapid.String().Draw(t, "note")}
		st.Note = strings.ToValidUTF8(st.Note, "?")
		if err := checkpoint.Save(path, st, want); err != nil {
			t.Fatal(err)
		}
		var got state
		vectors := like(want)
		found, err := checkpoint.Load(path, &got, vectors)
		if err != nil || !found {
			t.Fatalf("found %v: %v", found, err)
		}
		if diff := cmp.Diff(st, got) + cmp.Diff(want, vectors, bits); diff != "" {
			t.Fatalf("what is loaded differs (-saved +loaded):\n%s", diff)
		}
	})
}

func TestEqualContentGivesEqualBytes(t *testing.T) {
	_, first := saved(t)
	for range 10 { // maps are iterated in another order each time
		if _, again := saved(t); string(again) != string(first) {
			t.Fatal("the bytes differ")
		}
	}
}

func TestSavingReplacesAndLeavesNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	for epoch := range 3 {
		if err := checkpoint.Save(path, state{Epoch: epoch}, map[string][]float32{"v": {float32(epoch)}}); err != nil {
			t.Fatal(err)
		}
	}
	var st state
	v := map[string][]float32{"v": {0}}
	if found, err := checkpoint.Load(path, &st, v); !found || err != nil || st.Epoch != 2 || v["v"][0] != 2 {
		t.Errorf("loaded %v, %+v, %v: %v", found, st, v, err)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("%d files instead of one: %v", len(files), err)
	}
}

func TestNoCheckpointIsNoError(t *testing.T) {
	found, err := checkpoint.Load(filepath.Join(t.TempDir(), "none"), &state{}, nil)
	if found || err != nil {
		t.Errorf("found %v: %v", found, err)
	}
}

// refused loads a file that is no whole checkpoint and checks that this is said and nothing is loaded.
func refused(t testing.TB, what, path string, vectors map[string][]float32) {
	t.Helper()
	st := state{Epoch: 99}
	before := like(vectors)
	found, err := checkpoint.Load(path, &st, vectors)
	var damaged *checkpoint.Damaged
	if found || !errors.As(err, &damaged) {
		t.Fatalf("%s: found %v: %v", what, found, err)
	}
	if damaged.Path != path || !strings.Contains(err.Error(), path) {
		t.Fatalf("%s: the error does not name the file: %v", what, err)
	}
	if diff := cmp.Diff(before, vectors, bits); diff != "" {
		t.Fatalf("%s: vectors were changed:\n%s", what, diff)
	}
}

// One changed bit anywhere in the file, be it in numbers, names, lengths or the state, is noticed.
func TestEveryFlippedBitIsDamage(t *testing.T) {
	path, data := saved(t)
	_, vectors := example()
	for i := range data {
		for bit := range 8 {
			data[i] ^= 1 << bit
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
			refused(t, "bit "+string(rune('0'+bit))+" of a byte", path, like(vectors))
			data[i] ^= 1 << bit
		}
	}
}

func TestEveryTruncationIsDamage(t *testing.T) {
	path, data := saved(t)
	_, vectors := example()
	for n := range data {
		if err := os.WriteFile(path, data[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		refused(t, "a part of the file", path, like(vectors))
	}
	if err := os.WriteFile(path, append(data, 0), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, "something after the end", path, like(vectors))
}

func TestAnotherSetOfVectorsIsDamage(t *testing.T) {
	path, _ := saved(t)
	for what, change := range map[string]func(v map[string][]float32){
		"a longer vector":   func(v map[string][]float32) { v["alpha"] = make([]float32, 2) },
		"a shorter vector":  func(v map[string][]float32) { v["params"] = make([]float32, 3) },
		"one vector more":   func(v map[string][]float32) { v["more"] = make([]float32, 1) },
		"one vector less":   func(v map[string][]float32) { delete(v, "alpha") },
		"no vectors at all": func(v map[string][]float32) { clear(v) },
	} {
		_, vectors := example()
		change(vectors)
		refused(t, what, path, like(vectors))
	}
}

func TestForeignFilesAreDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	for what, content := range map[string]string{"nothing": "", "text": "epoch,phase\n", "json": "{}"} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		refused(t, what, path, map[string][]float32{})
	}
	refused(t, "a folder", t.TempDir(), map[string][]float32{})
}

func TestSaveSaysWhatItCannotWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	err := checkpoint.Save(path, math.NaN(), nil)
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a state that is no JSON: %v", err)
	}
	path = filepath.Join(t.TempDir(), "missing", "checkpoint")
	if err := checkpoint.Save(path, state{}, nil); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestFingerprint(t *testing.T) {
	type row struct {
		N int
		V float64
		S string
	}
	a := []row{{1, 0.1, "x"}, {2, math.NaN(), ""}}
	if checkpoint.Fingerprint(a) != checkpoint.Fingerprint([]row{{1, 0.1, "x"}, {2, math.NaN(), ""}}) {
		t.Error("equal rows have different fingerprints")
	}
	for _, b := range [][]row{
		nil, a[:1], {{1, 0.1, "x"}, {2, 0, ""}}, {{1, math.Nextafter(0.1, 1), "x"}, {2, math.NaN(), ""}}, {{1, 0.1, "x "}, {2, math.NaN(), ""}},
	} {
		if checkpoint.Fingerprint(a) == checkpoint.Fingerprint(b) {
			t.Errorf("%v has the fingerprint of %v", b, a)
		}
	}
}
