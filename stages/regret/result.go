package regret

import (
	"strconv"

	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/table"
)

// Result is the content of regret.json. Regrets are in the unit of the truth. What could not be computed is null.
type Result struct {
	Space        string         `json:"space"`
	Score        Column         `json:"score"` // what the searches see
	Truth        Column         `json:"truth"` // what they are judged by
	BestTruth    float64        `json:"best_truth"`
	Seeds        int            `json:"seeds"`
	Budgets      []int          `json:"budgets"`  // in evaluations, those of neighbors included
	Interval     string         `json:"interval"` // how confidence intervals of means are made: bootstrap (percentile) or normal
	Level        float64        `json:"level"`    // their confidence level
	Searches     []SearchResult `json:"searches"`
	Pairs        []Pair         `json:"pairs"`
	Correlations []Correlation  `json:"correlations"`
}

// Column says which numbers were taken from which file.
type Column struct {
	Name    string        `json:"name"`
	File    string        `json:"file"`
	Meaning table.Meaning `json:"meaning"`
	Text    string        `json:"text"` // the meaning in words
}

// Interval is a confidence interval.
type Interval struct {
	Low  *float64 `json:"low"`
	High *float64 `json:"high"`
}

// SearchResult is what one search achieves.
type SearchResult struct {
	Search Search   `json:"search"`
	Regret []Regret `json:"regret"` // by budget
}

// Regret is by how much what a search has found falls short of the best, over the seeds. Where the way of a search depends on its budget,
// that is of searches with this budget, else of one search after so many evaluations.
type Regret struct {
	Budget int      `json:"budget"`
	Found  int      `json:"found"` // seeds with which it had found anything; the numbers are of these
	Truth  *float64 `json:"truth"` // mean truth of what it has found
	Worst  *float64 `json:"worst"` // truth with the worst seed
	Mean   *float64 `json:"mean"`  // of the regret, as all that follow
	Interval
	Median *float64 `json:"median"`
	StdDev *float64 `json:"std"`
}

// Pair compares a search with the plain one of its algorithm at a budget, seed by seed. Gain is by how much the plain one's
// regret is larger: above 0 the neighborhood helps, and so for the effect sizes.
type Pair struct {
	Search       string   `json:"search"`
	Plain        string   `json:"plain"`
	Budget       int      `json:"budget"`
	Seeds        int      `json:"seeds"`  // that are compared
	Wins         int      `json:"wins"`   // seeds with which the regret is smaller with the neighborhood
	Losses       int      `json:"losses"` // seeds with which it is larger
	Gain         *float64 `json:"gain"`   // mean over the seeds
	GainInterval Interval `json:"gain_interval"`
	P            float64  `json:"p"`             // of the Wilcoxon signed-rank test, two-sided
	PHolm        float64  `json:"p_holm"`        // corrected for the number of searches compared at the budget (Holm 1979)
	Exact        bool     `json:"exact"`         // p is exact, not the normal approximation with ties corrected
	RankBiserial float64  `json:"rank_biserial"` // matched-pairs rank-biserial correlation, -1 to 1
	CliffsDelta  *float64 `json:"cliffs_delta"`  // Cliff's delta, which does not look at pairs, -1 to 1
}

// Correlation says how well a score orders the architectures of the whole table by their truth.
type Correlation struct {
	Name      string   `json:"name"` // own, or the aggregator and the radius
	Radius    int      `json:"radius"`
	Aggregate string   `json:"aggregate,omitempty"`
	Spearman  *float64 `json:"spearman"`
	Kendall   *float64 `json:"kendall"`    // tau-b
	Best      string   `json:"best"`       // the architecture with the best score
	BestIndex *int     `json:"best_index"` // its public index
	BestTruth float64  `json:"best_truth"`
	BestRank  int      `json:"best_rank"` // by truth, 1 being the best of the table
}

// WriteJSON writes regret.json.
func (r *Result) WriteJSON(path string) error {
	return result.WriteFigures(path, "the comparison", r)
}

// WriteCSV writes regret.csv: a row for each search and budget, with the comparison with the plain search where there is one.
func (r *Result) WriteCSV(path string) error {
	number := func(p *float64) string { return result.Text(result.Value(p)) }
	rows := [][]string{{"search", "algorithm", "radius", "policy", "aggregate", "budget", "found", "truth", "worst", "mean", "low", "high", "median", "std",
		"plain", "wins", "losses", "gain", "gain_low", "gain_high", "p", "p_holm", "rank_biserial", "cliffs_delta"}}
	for _, s := range r.Searches {
		aggregate := ""
		if !s.Search.plain() {
			aggregate = s.Search.settings(1).Neighborhood.Aggregate
		}
		for _, g := range s.Regret {
			row := []string{s.Search.Name, s.Search.Algorithm, strconv.Itoa(s.Search.Radius), s.Search.Policy, aggregate,
				strconv.Itoa(g.Budget), strconv.Itoa(g.Found), number(g.Truth), number(g.Worst), number(g.Mean), number(g.Low), number(g.High), number(g.Median), number(g.StdDev)}
			if p := r.pair(s.Search.Name, g.Budget); p != nil {
				row = append(row, p.Plain, strconv.Itoa(p.Wins), strconv.Itoa(p.Losses), number(p.Gain), number(p.GainInterval.Low), number(p.GainInterval.High),
					number(&p.P), number(&p.PHolm), number(&p.RankBiserial), number(p.CliffsDelta))
			}
			rows = append(rows, append(row, make([]string, len(rows[0])-len(row))...))
		}
	}
	return result.WriteRows(path, "the comparison", rows)
}

// pair returns the comparison of a search at a budget, nil where there is none.
func (r *Result) pair(search string, budget int) *Pair {
	for i, p := range r.Pairs {
		if p.Search == search && p.Budget == budget {
			return &r.Pairs[i]
		}
	}
	return nil
}
