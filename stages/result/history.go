package result

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/plateau-nas/plateau/exporter/atomicfile"
)

// SearchEpoch is a row of a search's history.csv. What an epoch does not have is NaN, or "" for the architecture, and an
// empty cell in the file.
type SearchEpoch struct {
	Epoch         int    // counts from 1 over all phases
	Phase         string // what moves: "warm-up" and "weights" (the weights), "search" (weights and alpha) or "alpha"
	TrainLoss     float64
	TrainAccuracy float64 // 0 to 1
	ValidLoss     float64
	ValidAccuracy float64 // 0 to 1
	AlphaEntropy  float64 // mean over the edges, in nats
	Architecture  string  // what the search would choose now
	Skips         int     // its skip connections, in the normal cell where there are two kinds
	Eigenvalue    float64 // the largest, of the Hessian of the validation loss by alpha
}

// TrainEpoch is a row of a training's history.csv. What an epoch does not have is NaN and an empty cell in the file.
type TrainEpoch struct {
	Epoch         int     // counts from 1
	LR            float64 // learning rate of the last step
	TrainLoss     float64
	TrainAccuracy float64 // 0 to 1, on the augmented images that were trained on
}

var (
	searchColumns = []string{"epoch", "phase", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "alpha_entropy", "architecture", "skips", "hessian_eigenvalue"}
	trainColumns  = []string{"epoch", "lr", "train_loss", "train_accuracy"}
)

// WriteSearchHistory writes the history.csv of a search.
func WriteSearchHistory(path string, epochs []SearchEpoch) error {
	return writeCSV(path, searchColumns, len(epochs), func(i int) []string {
		e := epochs[i]
		skips := ""
		if e.Architecture != "" {
			skips = strconv.Itoa(e.Skips)
		}
		return []string{strconv.Itoa(e.Epoch), e.Phase, number(e.TrainLoss), number(e.TrainAccuracy),
			number(e.ValidLoss), number(e.ValidAccuracy), number(e.AlphaEntropy), e.Architecture, skips, number(e.Eigenvalue)}
	})
}

// ReadSearchHistory reads the history.csv of a search.
func ReadSearchHistory(path string) ([]SearchEpoch, error) {
	var epochs []SearchEpoch
	err := readCSV(path, searchColumns, func(r *row) {
		skips := 0
		if r.text(8) != "" {
			skips = r.integer(8)
		}
		epochs = append(epochs, SearchEpoch{
			Epoch: r.integer(0), Phase: r.text(1), TrainLoss: r.number(2), TrainAccuracy: r.number(3),
			ValidLoss: r.number(4), ValidAccuracy: r.number(5), AlphaEntropy: r.number(6), Architecture: r.text(7),
			Skips: skips, Eigenvalue: r.number(9),
		})
	})
	if err != nil {
		return nil, err
	}
	return epochs, nil
}

// WriteTrainHistory writes the history.csv of a training.
func WriteTrainHistory(path string, epochs []TrainEpoch) error {
	return writeCSV(path, trainColumns, len(epochs), func(i int) []string {
		e := epochs[i]
		return []string{strconv.Itoa(e.Epoch), number(e.LR), number(e.TrainLoss), number(e.TrainAccuracy)}
	})
}

// ReadTrainHistory reads the history.csv of a training.
func ReadTrainHistory(path string) ([]TrainEpoch, error) {
	var epochs []TrainEpoch
	err := readCSV(path, trainColumns, func(r *row) {
		epochs = append(epochs, TrainEpoch{Epoch: r.integer(0), LR: r.number(1), TrainLoss: r.number(2), TrainAccuracy: r.number(3)})
	})
	if err != nil {
		return nil, err
	}
	return epochs, nil
}

func writeCSV(path string, columns []string, rows int, cells func(i int) []string) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		c := csv.NewWriter(w)
		if err := c.Write(columns); err != nil {
			return err
		}
		for i := range rows {
			if err := c.Write(cells(i)); err != nil {
				return err
			}
		}
		c.Flush()
		return c.Error()
	})
}

func readCSV(path string, columns []string, add func(*row)) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading a history: %w", err)
	}
	defer f.Close()
	if err := parseCSV(f, columns, add); err != nil {
		return fmt.Errorf("reading a history from %s: %w; let the stage that wrote it run again", path, err)
	}
	return nil
}

func parseCSV(f io.Reader, columns []string, add func(*row)) error {
	c := csv.NewReader(f)
	c.FieldsPerRecord = len(columns)
	header, err := c.Read()
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty")
	}
	if err == nil && !slices.Equal(header, columns) {
		return fmt.Errorf("line 1: the columns are %s, want %s", strings.Join(header, ","), strings.Join(columns, ","))
	}
	for err == nil {
		r := row{columns: columns}
		if r.cells, err = c.Read(); err != nil {
			break
		}
		add(&r)
		if r.err != nil {
			line, _ := c.FieldPos(0)
			return fmt.Errorf("line %d: %w", line, r.err)
		}
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// row reads the cells of one line and keeps the first mistake.
type row struct {
	columns, cells []string
	err            error
}

func (r *row) text(i int) string { return r.cells[i] }

func (r *row) integer(i int) int {
	v, err := strconv.Atoi(r.cells[i])
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s is %q, want a whole number", r.columns[i], r.cells[i])
	}
	return v
}

func (r *row) number(i int) float64 {
	if r.cells[i] == "" {
		return math.NaN()
	}
	v, err := strconv.ParseFloat(r.cells[i], 64)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s is %q, want a number", r.columns[i], r.cells[i])
	}
	return v
}

// number writes the shortest text that reads as the same number.
func number(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// IsSearchHistory reports whether the file is the history of a search, from its first line; otherwise it is that of a training.
// The error is about a file that cannot be read.
func IsSearchHistory(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("reading a history: %w", err)
	}
	defer f.Close()
	header, err := csv.NewReader(io.LimitReader(f, 1<<12)).Read()
	if err != nil {
		return false, fmt.Errorf("reading a history from %s: %w", path, err)
	}
	return slices.Equal(header, searchColumns), nil
}
