package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/report/chart"
	"github.com/plateau-nas/plateau/stages/report/draw"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/space"
)

// neighborhoodView shows what each change of one edge does to each finalist's score.
type neighborhoodView struct {
	Summary string
	Legend  legend
	Winner  finalistHeat
	Others  []finalistHeat
}

type finalistHeat struct {
	Name         string
	Chips        []chip
	Aggregate    string
	Architecture string
	Facts        []fact
	Notes        []string
	Table        *heat
}

// rankingView is the table of finalists.
type rankingView struct {
	Summary string
	Rows    []rankingRow
	Keys    []key
}

type rankingRow struct {
	Winner       bool
	Rank, Own    int
	Moved        string // how many places the neighborhood has moved it: "▲ 2"
	Chips        []chip
	Architecture string
	Score        string
	Accuracy     string
	Aggregate    string
	Std          string
	Range        template.HTML
	Worst        string
	WorstChange  string
}

// chip stands for the operation of an edge.
type chip struct {
	Letter, Tip string
	Color       template.CSS
	First       bool // of the edges into its node
}

func newNeighborhood(c Content, s *space.Space) *neighborhoodView {
	if c.Ranking == nil || c.Ranking.Finalists[c.Ranking.Winner].Table == nil {
		return nil
	}
	largest := 0.0
	for _, f := range c.Ranking.Finalists {
		for _, row := range f.Table {
			for _, v := range row {
				if v != nil {
					largest = max(largest, math.Abs(*v-f.OwnScore))
				}
			}
		}
	}
	v := &neighborhoodView{
		Summary: "Each cell is the change of the score when one edge gets another operation and all else stays. A plateau is pale, a peak is red. " + scoreSentence(c),
		Legend:  newLegend(largest),
	}
	for i, f := range c.Ranking.Finalists {
		arch, err := s.Parse(f.Architecture)
		if err != nil || f.Table == nil {
			continue
		}
		h := finalistHeat{
			Name: fmt.Sprintf("Finalist %d", f.RankNeighborhood), Chips: chips(s, arch), Aggregate: score(f.Aggregate), Architecture: f.Architecture,
			Notes: describeTable(s, arch, f), Table: changes(s, arch, f, largest),
			Facts: []fact{{"Own score", score(f.OwnScore), ""}, {"Neighborhood score", score(f.Aggregate), aggregateName(c.Ranking)}},
		}
		if f.Neighbors > 0 {
			h.Facts = append(h.Facts, fact{"Spread", number(f.Std, 3), "standard deviation of " + words.Count(f.Neighbors, "neighbor")},
				fact{"Worst neighbor", score(f.Worst.Score), change(s, arch, f.Worst.Architecture)})
		}
		if same, all := sameFunction(s, arch, f); same > 0 {
			h.Facts = append(h.Facts, fact{"Same function", fmt.Sprintf("%d of %d", same, all), "changes that the table shows and that leave what is computed as it is"})
		}
		if i == c.Ranking.Winner {
			v.Winner = h
		} else {
			v.Others = append(v.Others, h)
		}
	}
	return v
}

// sameFunction counts the changes of one edge that a finalist's table has a score for, and those of them that compute what the finalist
// does.
func sameFunction(s *space.Space, arch space.Architecture, f result.Finalist) (same, all int) {
	class := s.Class(arch)
	for e, row := range f.Table {
		for op, v := range row {
			if v == nil || op == arch[e] {
				continue
			}
			all++
			changed := arch.Clone()
			changed[e] = op
			if s.Class(changed) == class {
				same++
			}
		}
	}
	return same, all
}

func changes(s *space.Space, arch space.Architecture, f result.Finalist, largest float64) *heat {
	return newHeat(s, "Changes of the score by single edges of "+s.Format(arch), func(e, op int) heatCell {
		tip := fmt.Sprintf("%s on %s", draw.Label(s.Operations[op]), edgeName(s, e))
		switch v := f.Table[e][op]; {
		case op == arch[e]:
			return heatCell{Text: "•", Tip: tip + ": the architecture itself, score " + score(f.OwnScore), Center: true}
		case v == nil:
			return heatCell{Text: "", Tip: tip + ": not scored"}
		default:
			return heatCell{Text: signed(*v-f.OwnScore, 2), Tip: tip + ": score " + score(*v), Style: diverging(*v-f.OwnScore, largest)}
		}
	})
}

// describeTable says in words what a table shows: how many changes help, and which edges matter most and least.
func describeTable(s *space.Space, arch space.Architecture, f result.Finalist) []string {
	scored, better := 0, 0
	most, least := -1, -1
	mean := make([]float64, len(s.Edges))
	for e := range s.Edges {
		count := 0
		for op, v := range f.Table[e] {
			if v == nil || op == arch[e] {
				continue
			}
			count++
			mean[e] += *v - f.OwnScore
			if *v > f.OwnScore {
				better++
			}
		}
		scored += count
		if count == 0 {
			continue
		}
		mean[e] /= float64(count)
		if most < 0 || mean[e] < mean[most] {
			most = e
		}
		if least < 0 || mean[e] > mean[least] {
			least = e
		}
	}
	if scored == 0 {
		return nil
	}
	notes := []string{fmt.Sprintf("%d of %s improve the score.", better, words.Count(scored, "single change"))}
	if most != least {
		notes = append(notes, fmt.Sprintf("Edge %s matters most (mean change %s), edge %s least (%s).",
			edgeName(s, most), signed(mean[most], 2), edgeName(s, least), signed(mean[least], 2)))
	}
	return notes
}

func newRanking(c Content, s *space.Space) *rankingView {
	r := c.Ranking
	if r == nil {
		return nil
	}
	reach := "themselves"
	if r.Radius > 0 {
		reach = fmt.Sprintf("their neighbors within %s", words.Count(r.Radius, "changed edge"))
	}
	v := &rankingView{Summary: fmt.Sprintf("%s, ranked by the %s of the scores of %s. %s had to be scored.",
		capital(words.Count(len(r.Finalists), "finalist")), aggregateName(r), reach, capital(words.Count(r.NeighborsScored, "architecture")))}
	if newNeighborhood(c, s) == nil {
		v.Summary += " " + scoreSentence(c)
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, f := range r.Finalists {
		low, high = min(low, f.Min, f.OwnScore, f.Aggregate), max(high, f.Max, f.OwnScore, f.Aggregate)
	}
	used := make([]bool, len(s.Operations))
	for i, f := range r.Finalists {
		arch, err := s.Parse(f.Architecture)
		if err != nil {
			continue
		}
		for _, e := range s.Chosen(arch) {
			used[arch[e]] = true
		}
		row := rankingRow{
			Winner: i == r.Winner, Rank: f.RankNeighborhood, Own: f.RankOwn, Moved: moved(f.RankOwn - f.RankNeighborhood),
			Chips: chips(s, arch), Architecture: f.Architecture, Score: score(f.OwnScore), Accuracy: percent(f.OwnAccuracy),
			Aggregate: score(f.Aggregate), Std: number(f.Std, 3),
		}
		if f.Neighbors > 0 {
			row.Worst, row.WorstChange = score(f.Worst.Score), change(s, arch, f.Worst.Architecture)
			row.Range = template.HTML(chart.Interval{
				Low: low, High: high, Min: f.Min, Max: f.Max, Mean: neighborMean(s, f), Std: f.Std, Aggregate: f.Aggregate, Own: f.OwnScore,
				Label: fmt.Sprintf("neighbors from %s to %s, aggregate %s, own score %s", score(f.Min), score(f.Max), score(f.Aggregate), score(f.OwnScore)),
			}.SVG())
		}
		v.Rows = append(v.Rows, row)
	}
	for op, ok := range used {
		if ok {
			name := s.Operations[op]
			v.Keys = append(v.Keys, key{Color: template.CSS(draw.Color(name)), Name: draw.Label(name), Value: letter(s, name)})
		}
	}
	return v
}

// neighborMean is where the bar of a finalist's standard deviation has its middle: the mean of the scores in its table, or the
// aggregate when the table does not hold them.
func neighborMean(s *space.Space, f result.Finalist) float64 {
	arch, err := s.Parse(f.Architecture)
	if err != nil {
		return f.Aggregate
	}
	sum, n := 0.0, 0
	for e, row := range f.Table {
		for op, v := range row {
			if v != nil && op != arch[e] {
				sum += *v
				n++
			}
		}
	}
	if n == 0 || n < f.Neighbors {
		return f.Aggregate
	}
	return sum / float64(n)
}

func chips(s *space.Space, arch space.Architecture) []chip {
	var out []chip
	node := -1
	for _, e := range s.Chosen(arch) {
		name := s.Operations[arch[e]]
		out = append(out, chip{
			Letter: letter(s, name), Tip: edgeName(s, e) + " " + draw.Label(name), Color: template.CSS(draw.Color(name)),
			First: node >= 0 && s.Edges[e].To != node,
		})
		node = s.Edges[e].To
	}
	return out
}

// letter is the shortest sign of an operation that still tells it from the others.
func letter(s *space.Space, operation string) string {
	switch {
	case operation == "none":
		return "–"
	case s.Pairs:
		return space.ShortName(operation)
	case strings.HasSuffix(operation, "conv_1x1"):
		return "1"
	case strings.HasSuffix(operation, "conv_3x3"):
		return "3"
	}
	return strings.ToUpper(operation[:1])
}

func moved(places int) string {
	switch {
	case places > 0:
		return fmt.Sprintf("▲ %d", places)
	case places < 0:
		return fmt.Sprintf("▼ %d", -places)
	}
	return ""
}

func aggregateName(r *result.Ranking) string {
	name, _ := r.Aggregate["aggregate"].(string)
	switch name {
	case "":
		return "aggregate"
	case "mean_std":
		return "mean minus standard deviations"
	case "min":
		return "minimum"
	}
	return strings.ReplaceAll(name, "_", " ")
}

func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
