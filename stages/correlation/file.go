package correlation

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/table"
)

// number is written to JSON as null where it is none.
type number float64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// The content of correlation.json.
type fileContent struct {
	Space         string       `json:"space"`
	Architectures int          `json:"architectures"` // with both a score and a truth
	Score         fileColumn   `json:"score"`
	Truth         fileColumn   `json:"truth"`
	Methods       []fileMethod `json:"methods"`
}

type fileColumn struct {
	Column  string        `json:"column"`
	File    string        `json:"file"`
	Says    string        `json:"says"` // the meaning in words
	Meaning table.Meaning `json:"meaning"`
}

type fileMethod struct {
	Name     string     `json:"name"`
	Label    string     `json:"label"`
	Spearman number     `json:"spearman"`
	Kendall  number     `json:"kendall"`
	Pearson  number     `json:"pearson"`
	Best     fileChoice `json:"best"`
	Top      []fileTop  `json:"top"`
}

type fileChoice struct {
	Index        *int   `json:"index"` // public index, null where the table has none
	Architecture string `json:"architecture"`
	Score        number `json:"score"`
	Own          number `json:"own"`
	Truth        number `json:"truth"`
	Rank         int    `json:"rank"` // by the truth, 1 for the best
	Regret       number `json:"regret"`
}

type fileTop struct {
	K         int    `json:"k"`
	Overlap   number `json:"overlap"`
	MeanTruth number `json:"mean_truth"`
}

// outcome is everything that the stage has found. In figures scores and truths are higher for better; they are written
// in the columns' own units.
type outcome struct {
	table        *table.Table
	score, truth *table.Column
	truths       []float64 // by rank, higher is better
	figures      []Figures
	count        int // architectures that take part
}

// inUnit turns a score back into the unit of its column.
func inUnit(c *table.Column, score float64) float64 {
	if c.Meaning.Lower {
		return -score
	}
	return score
}

func describe(c *table.Column) fileColumn {
	return fileColumn{Column: c.Name, File: c.File, Says: c.Meaning.String(), Meaning: c.Meaning}
}

func (o outcome) content() fileContent {
	f := fileContent{Space: o.table.Space().Name, Architectures: o.count, Score: describe(o.score), Truth: describe(o.truth)}
	for _, g := range o.figures {
		m := fileMethod{Name: g.Method, Label: g.Label, Spearman: number(g.Spearman), Kendall: number(g.Kendall), Pearson: number(g.Pearson)}
		m.Best = fileChoice{
			Architecture: o.table.Space().Format(o.table.Architecture(g.Best.Rank)),
			Score:        number(inUnit(o.score, g.Best.Score)), Own: number(inUnit(o.score, g.Best.Own)),
			Truth: number(inUnit(o.truth, g.Best.Truth)), Rank: g.Best.Place, Regret: number(g.Best.Regret),
		}
		if index, ok := o.table.Index(g.Best.Rank); ok {
			m.Best.Index = &index
		}
		for _, t := range g.Top {
			m.Top = append(m.Top, fileTop{K: t.K, Overlap: number(t.Overlap), MeanTruth: number(inUnit(o.truth, t.MeanTruth))})
		}
		f.Methods = append(f.Methods, m)
	}
	return f
}

// writeJSON writes correlation.json.
func (o outcome) writeJSON(path string) error {
	return result.WriteFigures(path, "the figures", o.content())
}

// writeCSV writes scores.csv: a row for each architecture that takes part, by public index, with the truth and every score in
// the columns' own units.
func (o outcome) writeCSV(path string) error {
	header := []string{"index", "arch", "truth"}
	for _, f := range o.figures {
		header = append(header, f.Method)
	}
	rows := [][]string{header}
	text := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	byIndex := make([]float64, o.table.Size())
	part := make([]bool, o.table.Size())
	for rank := range part {
		part[rank] = !math.IsNaN(o.figures[0].Scores[rank])
	}
	for _, rank := range order(o.table, byIndex, part) {
		index := ""
		if i, ok := o.table.Index(rank); ok {
			index = strconv.Itoa(i)
		}
		row := []string{index, o.table.Space().Format(o.table.Architecture(rank)), text(inUnit(o.truth, o.truths[rank]))}
		for _, f := range o.figures {
			row = append(row, text(inUnit(o.score, f.Scores[rank])))
		}
		rows = append(rows, row)
	}
	return result.WriteRows(path, "the scores", rows)
}
