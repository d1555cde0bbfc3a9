package result

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func exampleSearchHistory() []SearchEpoch {
	none := math.NaN()
	return []SearchEpoch{
		{1, "warm-up", 2.25, 0.125, none, none, none, "", 0, none},
		{2, "search", 1.0 / 3, 0.5, 1.5, 0.4375, 1.6094379124341003, allConv, 2, 0.25},
	}
}

func TestSearchHistoryFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.csv")
	if err := WriteSearchHistory(path, exampleSearchHistory()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const want = "epoch,phase,train_loss,train_accuracy,valid_loss,valid_accuracy,alpha_entropy,architecture,skips,hessian_eigenvalue\n" +
		"1,warm-up,2.25,0.125,,,,,,\n" +
		"2,search,0.3333333333333333,0.5,1.5,0.4375,1.6094379124341003," + allConv + ",2,0.25\n"
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("file differs (-want +got):\n%s", diff)
	}
	got, err := ReadSearchHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(exampleSearchHistory(), got, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("what is read differs (-written +read):\n%s", diff)
	}
}

func TestTrainHistoryReadsAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.csv")
	rapid.Check(t, func(t *rapid.T) {
		epoch := rapid.Custom(func(t *rapid.T) TrainEpoch {
			number := rapid.OneOf(rapid.Float64(), rapid.Just(math.NaN()), rapid.Just(math.Inf(1)))
			return TrainEpoch{rapid.IntRange(1, 999).Draw(t, "epoch"), number.Draw(t, "lr"), number.Draw(t, "loss"), number.Draw(t, "accuracy")}
		})
		want := rapid.SliceOfN(epoch, 0, 5).Draw(t, "epochs")
		if err := WriteTrainHistory(path, want); err != nil {
			t.Fatal(err)
		}
		got, err := ReadTrainHistory(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("what is read differs (-written +read):\n%s", diff)
		}
	})
}

func TestReadingAHistorySaysWhatIsWrong(t *testing.T) {
	const header = "epoch,lr,train_loss,train_accuracy\n"
	tests := []struct{ name, text, want string }{
		{"empty", "", "the file is empty"},
		{"other columns", "epoch,lr,loss,accuracy\n", "line 1: the columns are epoch,lr,loss,accuracy, want epoch,lr,train_loss,train_accuracy"},
		{"history of a search", "epoch,phase\n", "wrong number of fields"},
		{"no number", header + "1,0.1,2,0.5\n2,0.1,high,0.5\n", `line 3: train_loss is "high", want a number`},
		{"no epoch", header + ",0.1,2,0.5\n", `line 2: epoch is "", want a whole number`},
		{"cut short", header + "1,0.1,2", "record on line 2: wrong number of fields"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "history.csv")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ReadTrainHistory(path)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error is %v, want one with %q and the file's name", err, tt.want)
			}
		})
	}
}

func TestIsSearchHistory(t *testing.T) {
	dir := t.TempDir()
	search, train := filepath.Join(dir, "search.csv"), filepath.Join(dir, "train.csv")
	if err := errors.Join(WriteSearchHistory(search, exampleSearchHistory()), WriteTrainHistory(train, nil)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{search: true, train: false} {
		if got, err := IsSearchHistory(path); err != nil || got != want {
			t.Errorf("IsSearchHistory(%s) = %v, %v", filepath.Base(path), got, err)
		}
	}
	if _, err := IsSearchHistory(filepath.Join(dir, "absent.csv")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error for an absent file is %v", err)
	}
}

func FuzzParseCSV(f *testing.F) {
	f.Add("epoch,lr,train_loss,train_accuracy\n1,0.1,,NaN\n")
	f.Add("epoch,lr,train_loss,train_accuracy\n\"1")
	f.Fuzz(func(t *testing.T, text string) {
		_ = parseCSV(strings.NewReader(text), trainColumns, func(r *row) { r.integer(0); r.number(1); r.number(2); r.number(3) })
	})
}
