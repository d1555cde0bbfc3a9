package report

import (
	"embed"
	"errors"
	"fmt"
	"html"
	"html/template"
	"io"
	"strings"

	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/report/draw"
	"github.com/plateau-nas/plateau/stages/report/frame"
	"github.com/plateau-nas/plateau/stages/space"
)

//go:embed template
var templates embed.FS

// page is the view of the whole page; sections that a run has nothing for are nil.
type page struct {
	frame.Page
	Headline  headline
	Baselines *baselinesView
	Search    *searchView
	Hood      *neighborhoodView
	Ranking   *rankingView
	Train     *trainView
	Classes   *classesView
	Folds     *foldsView
	Curve     *curveView
	Samples   *samplesView
	Checks    *checksView
	Origin    originView
}

// Render writes the page. Equal content gives equal bytes.
func Render(w io.Writer, c Content) error {
	if c.Architecture == nil {
		return errors.New("making the report: there is no architecture to report on")
	}
	s, arch, err := c.Architecture.Parse()
	if err != nil {
		return fmt.Errorf("making the report: %w", err)
	}
	if c.Ranking != nil && c.Ranking.Space != s.Reference() {
		return fmt.Errorf("making the report: the architecture is of space %s, the ranking of %s", s.Name, c.Ranking.Space)
	}
	p := page{
		Page: frame.Page{Title: title(c)}, Headline: newHeadline(c, s, arch),
		Baselines: newBaselines(c), Search: newSearch(c, s), Hood: newNeighborhood(c, s), Ranking: newRanking(c, s), Train: newTrain(c),
		Curve: newCurve(c), Checks: newChecks(c), Origin: newOrigin(c),
	}
	if p.Classes, err = newClasses(c); err != nil {
		return fmt.Errorf("making the report: %w", err)
	}
	if p.Folds, err = newFolds(c); err != nil {
		return fmt.Errorf("making the report: %w", err)
	}
	if p.Samples, err = newSamples(c); err != nil {
		return fmt.Errorf("making the report: %w", err)
	}
	if err := frame.Write(w, templates, template.FuncMap{"breakable": breakable}, &p.Page, &p); err != nil {
		return fmt.Errorf("making the report: %w", err)
	}
	return nil
}

// breakable lets a long architecture string break between its operations only; what is copied from it has no breaks.
func breakable(text string) template.HTML {
	text = html.EscapeString(text)
	return template.HTML(strings.NewReplacer("+", "+<wbr/>", "|", "|<wbr/>").Replace(text))
}

func title(c Content) string {
	if c.Title != "" {
		return c.Title
	}
	if name := datasetName(c); name != "" {
		return "An architecture for " + name
	}
	return "An architecture of " + c.Architecture.Space
}

func datasetName(c Content) string {
	switch {
	case c.Metrics != nil:
		return c.Metrics.Dataset
	case c.Dataset != nil:
		return c.Dataset.Name
	}
	return ""
}

// headline is the top of the page: what was found and how good it is.
type headline struct {
	Big, BigLabel string // the number that matters most
	BigNote       string // what it leaves open
	Lead          string // one sentence on how the architecture was found
	Architecture  string
	Computes      string // its class, in words; "" where it has none
	Cell          template.HTML
	Facts         []fact
}

// fact is a number with its name and, below it, what it means.
type fact struct{ Name, Value, Note string }

func newHeadline(c Content, s *space.Space, arch space.Architecture) headline {
	a := c.Architecture
	h := headline{Architecture: s.Format(arch), Cell: template.HTML(draw.SVG(s, arch)), Lead: lead(c)}
	if a.Class != "" {
		h.Computes = "It computes " + a.Class
		if others := a.ClassMembers - 1; others > 0 {
			h.Computes += fmt.Sprintf(", as %s of the space", words.Count(others, "other architecture"))
			h.Computes += map[bool]string{true: " does", false: " do"}[others == 1]
		}
		h.Computes += "."
	}
	if m := c.Metrics; m != nil {
		h.Big, h.BigLabel = percent(m.Top1), fmt.Sprintf("top-1 accuracy on %s of %s", words.Count(m.Count, m.Split+" image"), m.Dataset)
		h.BigNote = fmt.Sprintf("95%% interval %s", intervalOf(m))
		if b := m.Balanced; b.Unequal() {
			h.BigNote += fmt.Sprintf("; balanced accuracy %s (%s to %s), always saying %s %s", percent(b.Top1), number(100*b.Low, 1), number(100*b.High, 1), b.Largest, percent(b.Share))
		}
		if f := c.Folds; f != nil && f.Metrics != nil {
			h.Facts = append(h.Facts, fact{"Cross-validated", percent(f.Metrics.Top1), fmt.Sprintf("of all %s; %s", words.Count(f.Metrics.Count, "image"), intervalOf(f.Metrics))})
		}
		h.Facts = append(h.Facts,
			fact{"Parameters", words.Grouped(m.Parameters), "trainable numbers"},
			fact{"Multiply-adds", magnitude(m.MultiplyAdds), "for one image"},
			fact{"Model file", size(m.SizeBytes), "model.onnx"})
		if m.Latency != nil {
			h.Facts = append(h.Facts, fact{"Latency", number(m.Latency.P50, 2) + " ms", "median for one image"})
		}
	}
	if a.OwnScore != nil {
		h.Facts = append(h.Facts, fact{"Own score", score(*a.OwnScore), scoreMeaning(c)})
	}
	if a.NeighborhoodScore != nil {
		note := "aggregate of its neighbors"
		if c.Ranking != nil {
			note = aggregateName(c.Ranking) + " of its neighbors"
		}
		h.Facts = append(h.Facts, fact{"Neighborhood score", score(*a.NeighborhoodScore), note})
	}
	if c.Ranking != nil {
		for _, f := range c.Ranking.Finalists {
			if f.Architecture == h.Architecture && f.Neighbors > 0 {
				h.Facts = append(h.Facts,
					fact{"Spread", number(f.Std, 3), "standard deviation of the neighbors"},
					fact{"Worst neighbor", score(f.Worst.Score), change(s, arch, f.Worst.Architecture)})
			}
		}
	}
	return h
}

// scoreMeaning says what a score is.
func scoreMeaning(c Content) string {
	if c.lossScores() {
		return "minus the loss on validation images"
	}
	return "higher is better"
}

// lossScores tells whether scores are minus the loss of networks with shared weights, as far as the artifacts tell: searches that train
// shared weights leave a history.
func (c *Content) lossScores() bool { return len(c.Search) > 0 }

// scoreSentence says in words what the scores of the page are.
func scoreSentence(c Content) string {
	if !c.lossScores() {
		return "A score says how good an architecture is to the search; higher is better."
	}
	on := "validation images"
	if c.Dataset != nil && c.Dataset.Valid.Count > 0 {
		on = fmt.Sprintf("validation images (%s of %s)", words.Grouped(c.Dataset.Valid.Count), c.Dataset.Name)
	}
	return fmt.Sprintf("A score is minus the loss (cross-entropy) of the architecture with the shared weights on %s, which these weights were not trained on: higher is better, and 0 is the best there is.", on)
}

func lead(c Content) string {
	var parts []string
	if c.Architecture.Algorithm != "" {
		parts = append(parts, "Chosen by "+algorithmName(c.Architecture.Algorithm))
	} else {
		parts = append(parts, "Chosen")
	}
	parts = append(parts, "from the search space "+c.Architecture.Space)
	if c.Ranking != nil && len(c.Ranking.Finalists) > 1 {
		parts = append(parts, fmt.Sprintf("as the best of %s by the scores of their neighbors", words.Count(len(c.Ranking.Finalists), "finalist")))
	}
	return strings.Join(parts, " ") + "."
}

// algorithmName writes the name of a search as the literature does.
func algorithmName(name string) string {
	switch name {
	case "darts":
		return "DARTS"
	case "na_darts":
		return "NA-DARTS"
	case "na_rs":
		return "NA-RS"
	}
	return strings.ReplaceAll(name, "_", " ")
}

// change says what another architecture does differently: "3←0: conv 3×3 → none".
func change(s *space.Space, from space.Architecture, to string) string {
	other, err := s.Parse(to)
	if err != nil {
		return to
	}
	var parts []string
	for e := range from {
		if from[e] != other[e] {
			parts = append(parts, fmt.Sprintf("%s: %s → %s", edgeName(s, e), draw.Label(s.Operations[from[e]]), draw.Label(s.Operations[other[e]])))
		}
	}
	if len(parts) == 0 {
		return "no change"
	}
	return strings.Join(parts, ", ")
}

// edgeName writes an edge as the drawing names its nodes.
func edgeName(s *space.Space, e int) string { return draw.EdgeName(s, e) }
