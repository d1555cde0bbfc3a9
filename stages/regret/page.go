package regret

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/plateau-nas/plateau/stages/report/frame"
)

//go:embed template
var templates embed.FS

// view is the page as finished text.
type view struct {
	frame.Page
	Lead          string
	Big, BigLabel string
	Score, Truth  Column
	Seeds         int
	Best, Level   string
	Budgets       []int
	Searches      []searchView
	Pairs         []pairView
	Chart         template.HTML
	Correlations  []correlationView
}

type searchView struct {
	Name, About string
	Anew        bool // it begins anew for every budget
	Cells       []cellView
}

type cellView struct {
	Truth, Worst, Regret, Interval string
	Best                           bool
}

type pairView struct {
	Name, Plain string
	Cells       []struct{ Gain, Note string }
}

type correlationView struct{ Name, Spearman, Kendall, Truth, Rank string }

// render writes the page. Equal results give equal bytes.
func (r *Result) render(w io.Writer) error {
	v := r.view()
	if err := frame.Write(w, templates, nil, &v.Page, &v); err != nil {
		return fmt.Errorf("make the page of regrets: %w", err)
	}
	return nil
}

func (r *Result) view() view {
	v := view{
		Page: frame.Page{Title: "Which search finds more, and does a neighborhood help it?"},
		Lead: fmt.Sprintf("%d searches of %s, each with %d seeds, at equal numbers of evaluations, those of neighbors included.",
			len(r.Searches), r.Space, r.Seeds),
		Score: r.Score, Truth: r.Truth, Seeds: r.Seeds, Best: fmt.Sprintf("%.2f", r.BestTruth), Level: fmt.Sprintf("%.0f%%", 100*r.Level),
		Budgets: r.Budgets, Chart: template.HTML(r.chart()),
	}
	v.Big, v.BigLabel = "–", "nothing was found"
	for _, s := range r.Searches {
		row := searchView{Name: s.Search.Name, About: s.Search.about(), Anew: s.Search.settings(1).DependsOnBudget()}
		for b, g := range s.Regret {
			row.Cells = append(row.Cells, cellView{
				Truth: text(g.Truth), Worst: text(g.Worst), Regret: text(g.Mean), Interval: text(g.Low) + " to " + text(g.High), Best: r.leads(b, g.Truth),
			})
		}
		v.Searches = append(v.Searches, row)
		if n := len(s.Regret) - 1; r.leads(n, s.Regret[n].Truth) && v.Big == "–" {
			v.Big, v.BigLabel = text(s.Regret[n].Truth), fmt.Sprintf("mean truth of %s after %d evaluations", s.Search.Name, s.Regret[n].Budget)
		}
		if pair := r.pairView(s.Search.Name); pair.Plain != "" {
			v.Pairs = append(v.Pairs, pair)
		}
	}
	for _, c := range r.Correlations {
		v.Correlations = append(v.Correlations, correlationView{
			Name: strings.ReplaceAll(c.Name, "_", " "), Spearman: fixed(c.Spearman, 4), Kendall: fixed(c.Kendall, 4), Truth: text(&c.BestTruth), Rank: fmt.Sprint(c.BestRank),
		})
	}
	return v
}

// leads tells whether a mean truth is the highest of all searches at a budget.
func (r *Result) leads(b int, truth *float64) bool {
	if truth == nil {
		return false
	}
	for _, s := range r.Searches {
		if other := s.Regret[b].Truth; other != nil && *other > *truth {
			return false
		}
	}
	return true
}

func (r *Result) pairView(search string) pairView {
	v := pairView{Name: search}
	for _, b := range r.Budgets {
		p := r.pair(search, b)
		if p == nil {
			continue
		}
		v.Plain = p.Plain
		gain := "–"
		if p.Gain != nil {
			gain = fmt.Sprintf("%+.2f", *p.Gain)
		}
		v.Cells = append(v.Cells, struct{ Gain, Note string }{gain, fmt.Sprintf("%d : %d, p %.2g", p.Wins, p.Losses, p.PHolm)})
	}
	return v
}

// about says in a few words what a search is.
func (s Search) about() string {
	out := s.Algorithm
	if s.plain() {
		return out
	}
	st := s.settings(1)
	out += fmt.Sprintf(", %s over radius %d, %s", strings.ReplaceAll(st.Neighborhood.Aggregate, "_", " "), s.Radius, s.Policy)
	if s.Samples > 0 {
		out += fmt.Sprintf(" %d", s.Samples)
	}
	return out
}

func text(v *float64) string { return fixed(v, 2) }

func fixed(v *float64, digits int) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.*f", digits, *v)
}
