package compare

import (
	"math"
	"strconv"

	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/table"
)

// Result is the content of comparison.json. What could not be computed is null.
type Result struct {
	Space        string    `json:"space"`
	Seeds        []string  `json:"seeds"` // labels on the axis of the seeds, in the order of the document
	Measures     []Measure `json:"measures"`
	Methods      []Method  `json:"methods"`
	Pairs        []Pair    `json:"pairs"`
	Interval     string    `json:"interval"` // how confidence intervals of means are made: student or bootstrap
	Level        float64   `json:"level"`    // their confidence level
	Significance float64   `json:"significance"`
	Costs        []string  `json:"costs"` // names of the costs that any finding has
}

// The sources of measures.
const (
	FromTable   = "table"        // a public table, which the search has not seen
	FromMetrics = "metrics"      // measured on a network that was trained
	FromSearch  = "search"       // a score of the search itself
	FromCell    = "architecture" // read off the architecture
)

// Measure is a number that findings have.
type Measure struct {
	Name    string         `json:"name"` // as in the names of metrics: "truth", "test_top1", "own_score"
	From    string         `json:"from"` // FromTable, FromMetrics, FromSearch or FromCell
	Text    string         `json:"text"` // what it is, in words: epochs, split, data set
	Unit    string         `json:"unit,omitempty"`
	Lower   bool           `json:"lower_is_better,omitempty"`
	Tested  bool           `json:"tested"`         // pairs are tested on it
	Best    *float64       `json:"best,omitempty"` // for a table, the best value of any architecture
	Column  string         `json:"column,omitempty"`
	File    string         `json:"file,omitempty"`
	Meaning *table.Meaning `json:"meaning,omitempty"`
}

// Method is what a method found and what that cost.
type Method struct {
	Name      string `json:"name"`
	Stage     string `json:"stage"`     // of the document, whose variants found it
	Algorithm string `json:"algorithm"` // as its architecture files say
	// Constant tells that its stage has no seed, so that its one architecture stands for every seed.
	Constant bool                `json:"constant,omitempty"`
	Found    []Found             `json:"found"`   // by seed
	Summary  map[string]Summary  `json:"summary"` // by measure
	Cost     map[string]*float64 `json:"cost"`    // mean over the seeds, by name
}

// Found is what a method found with one seed.
type Found struct {
	Seed         string              `json:"seed"`
	Stage        string              `json:"stage"` // the variant
	Architecture string              `json:"architecture"`
	Index        *int                `json:"index,omitempty"` // public index, where a table has one
	Values       map[string]*float64 `json:"values"`          // by measure
	Cost         map[string]float64  `json:"cost"`            // by name: seconds, evaluations, weight_steps, ...
}

// Interval is a confidence interval.
type Interval struct {
	Low  *float64 `json:"low"`
	High *float64 `json:"high"`
}

// Summary is a method's values of a measure over the seeds.
type Summary struct {
	Count  int      `json:"count"` // seeds with a value
	Mean   *float64 `json:"mean"`
	StdDev *float64 `json:"std"` // of the sample, dividing by n-1
	Interval
	Min *float64 `json:"min"`
	Max *float64 `json:"max"`
	// Worst is Min or, where lower is better, Max: what the method gives with its worst seed.
	Worst *float64 `json:"worst"`
}

// Pair compares two methods on a measure, seed by seed. Gain is by how much the other is better, whatever the direction of
// the measure, and so are the effect sizes: above 0 the other method is the better one.
type Pair struct {
	Plain        string   `json:"plain"`
	Other        string   `json:"other"`
	Measure      string   `json:"measure"`
	Seeds        int      `json:"seeds"`  // that both have a value for
	Wins         int      `json:"wins"`   // seeds with which the other is better
	Losses       int      `json:"losses"` // seeds with which it is worse
	Gain         *float64 `json:"gain"`   // mean over the seeds
	GainInterval Interval `json:"gain_interval"`
	P            float64  `json:"p"`       // of the Wilcoxon signed-rank test, two-sided, uncorrected
	PHolm        float64  `json:"p_holm"`  // corrected for the number of pairs on this measure (Holm 1979)
	PLeast       float64  `json:"p_least"` // the smallest p that so many seeds allow
	Exact        bool     `json:"exact"`   // p is exact, not the normal approximation
	RankBiserial float64  `json:"rank_biserial"`
	CliffsDelta  *float64 `json:"cliffs_delta"`
	Significant  bool     `json:"significant"`
	// Cost is the other's mean cost divided by the plain one's, by name; 1 is equal.
	Cost    map[string]float64 `json:"cost_ratio"`
	Verdict string             `json:"verdict"` // all of it in words
}

// Title names the pair.
func (p Pair) Title() string { return p.Other + " against " + p.Plain }

// metric is the pair's part of the names of metrics.
func (p Pair) metric() string { return p.Other + "_vs_" + p.Plain + "_" + p.Measure }

// method returns the method of the name, nil when there is none.
func (r *Result) method(name string) *Method {
	for i := range r.Methods {
		if r.Methods[i].Name == name {
			return &r.Methods[i]
		}
	}
	return nil
}

// values returns a method's values of a measure by seed, not a number where there is none.
func (r *Result) values(m *Method, measure string) []float64 {
	out := make([]float64, len(r.Seeds))
	for i := range out {
		out[i] = math.NaN()
	}
	for _, f := range m.Found {
		for i, seed := range r.Seeds {
			if seed == f.Seed {
				out[i] = result.Value(f.Values[measure])
			}
		}
	}
	return out
}

// WriteJSON writes comparison.json.
func (r *Result) WriteJSON(path string) error {
	return result.WriteFigures(path, "the comparison", r)
}

// WriteCSV writes comparison.csv: a row for each method and seed.
func (r *Result) WriteCSV(path string) error {
	header := []string{"method", "seed", "stage", "architecture", "index"}
	for _, m := range r.Measures {
		header = append(header, m.Name)
	}
	rows := [][]string{append(header, r.Costs...)}
	for _, m := range r.Methods {
		for _, f := range m.Found {
			index := ""
			if f.Index != nil {
				index = strconv.Itoa(*f.Index)
			}
			row := []string{m.Name, f.Seed, f.Stage, f.Architecture, index}
			for _, me := range r.Measures {
				row = append(row, result.Text(result.Value(f.Values[me.Name])))
			}
			for _, c := range r.Costs {
				cell := ""
				if v, ok := f.Cost[c]; ok {
					cell = result.Text(v)
				}
				row = append(row, cell)
			}
			rows = append(rows, row)
		}
	}
	return result.WriteRows(path, "the comparison", rows)
}
