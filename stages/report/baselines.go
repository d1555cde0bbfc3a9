package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/plateau-nas/plateau/pipeline"
	"github.com/plateau-nas/plateau/stages/internal/words"
	"github.com/plateau-nas/plateau/stages/result"
	"github.com/plateau-nas/plateau/stages/stat"
)

// Trial is a network that was trained and measured: what the search has found, or what it has to be better than.
type Trial struct {
	Name    string // of the stage that chose its architecture
	Metrics *result.Metrics
	// Training is the seconds that its training took, Search those of all that led to its architecture; 0 where not known. They
	// differ from run to run.
	Training, Search float64
}

// The levels of the section on baselines.
const (
	intervalLevel = 0.95
	significance  = 0.05
	// equalCost is by which factor costs may differ and still count as equal.
	equalCost = 1.05
	// equalTraining is the same for the time of a training, which other work on the machine disturbs.
	equalTraining = 1.25
)

// trial describes the network that metrics are of by the stages that led to it.
func trial(job *pipeline.Job, a pipeline.Artifact, seconds bool) (Trial, error) {
	m, err := result.ReadMetrics(a.Path)
	if err != nil {
		return Trial{}, err
	}
	t := Trial{Name: strings.TrimPrefix(a.Stage, "evaluate_"), Metrics: m}
	for _, w := range job.Lineage(a) {
		switch w.Kind {
		case "dataset", "table", "export", "evaluate":
			continue
		case "train":
			if seconds {
				t.Training += w.Seconds
			}
			continue
		case "supernet", "weights": // they choose nothing
		default:
			t.Name = w.Stage
		}
		if seconds {
			t.Search += w.Seconds
		}
	}
	return t, nil
}

// readBaselines adds what the network is held against.
func (c *Content) readBaselines(job *pipeline.Job, seconds bool) error {
	own, measured := job.Input("metrics")
	for _, a := range job.List("baselines") {
		if !measured {
			return fmt.Errorf("stage %s measures a baseline, and the input metrics, of the network that is held against it, is not connected", a.Stage)
		}
		if c.Found == nil {
			t, err := trial(job, own, seconds)
			if err != nil {
				return err
			}
			c.Found = &t
		}
		t, err := trial(job, a, seconds)
		if err != nil {
			return err
		}
		if m, o := t.Metrics, c.Found.Metrics; m.Dataset != o.Dataset || m.Split != o.Split || m.Count != o.Count {
			return fmt.Errorf("stage %s measures on %d %s images of %s, stage %s on %d %s images of %s; hold networks against each other on the same images",
				a.Stage, m.Count, m.Split, m.Dataset, own.Stage, o.Count, o.Split, o.Dataset)
		}
		if slices.ContainsFunc(c.Baselines, func(o Trial) bool { return o.Name == t.Name }) {
			t.Name = a.Stage
		}
		c.Baselines = append(c.Baselines, t)
		c.Sources = append(c.Sources, Source{Port: "baselines", Stage: a.Stage, Kind: a.Kind, Digest: a.Digest})
	}
	return nil
}

// contest is the found network against one baseline.
type contest struct {
	Trial
	gain        float64  // accuracy of the found network minus the baseline's
	p           float64  // two-sided, corrected for the number of baselines
	paired      bool     // image by image
	operations  float64  // multiply-adds of the found network as a share of the baseline's; 0 where not known
	costs       []string // what the found network costs as shares of the baseline's, in words
	significant bool
}

// contests holds the found network against every baseline: by McNemar's test where the images that each classifies right are known,
// otherwise as if each had images of its own, which sees less.
func contests(found Trial, baselines []Trial) []contest {
	var out []contest
	var p []float64
	for _, b := range baselines {
		f, o := found.Metrics, b.Metrics
		c := contest{Trial: b, gain: f.Top1 - o.Top1}
		share := func(a, b float64, of string) float64 {
			if !(b > 0) {
				return 0
			}
			c.costs = append(c.costs, fmt.Sprintf("%s%% of its %s", number(100*a/b, 0), of))
			return a / b
		}
		c.operations = share(float64(f.MultiplyAdds), float64(o.MultiplyAdds), "multiply-adds")
		share(float64(f.Parameters), float64(o.Parameters), "parameters")
		if f.Latency != nil && o.Latency != nil {
			share(f.Latency.P50, o.Latency.P50, "latency")
		}
		if c.paired = f.Right != nil && len(f.Right) == len(o.Right); c.paired {
			p = append(p, stat.McNemar(discordant(f.Right, o.Right)))
		} else {
			p = append(p, stat.TwoShares(hits(f), f.Count, hits(o), o.Count))
		}
		out = append(out, c)
	}
	for i, v := range stat.Holm(p) {
		out[i].p, out[i].significant = v, v <= significance
	}
	return out
}

// discordant counts the images that only the first, and only the second, classifies right.
func discordant(a, b []byte) (first, second int) {
	for i := range a {
		for bit := range 8 {
			x, y := a[i]>>bit&1, b[i]>>bit&1
			if x > y {
				first++
			}
			if y > x {
				second++
			}
		}
	}
	return first, second
}

func hits(m *result.Metrics) int { return int(m.Top1*float64(m.Count) + 0.5) }

// outcome is what a contest shows.
type outcome int

// The outcomes, the worst for the search first.
const (
	lost    outcome = iota // less accurate and no cheaper
	inVain                 // equally accurate and no cheaper
	trade                  // less accurate but cheaper
	dearer                 // more accurate but dearer
	cheaper                // equally accurate and cheaper
	better                 // more accurate and no dearer
)

func (c contest) outcome() outcome {
	cheap := c.operations > 0 && c.operations < 1/equalCost
	switch {
	case c.significant && c.gain > 0 && c.operations > equalCost:
		return dearer
	case c.significant && c.gain > 0:
		return better
	case c.significant && cheap:
		return trade
	case c.significant:
		return lost
	case cheap:
		return cheaper
	}
	return inVain
}

// said tells the contest in words that can follow "the found network is".
func (c contest) said(images int, split string) string {
	points := number(100*c.gain, 1)
	cost := ""
	if len(c.costs) > 0 {
		cost = " at " + enumerate(c.costs)
	}
	switch {
	case c.significant && c.gain > 0:
		return fmt.Sprintf("%s points more accurate than %s (p %s)%s", points, c.Name, probability(c.p), cost)
	case c.significant:
		return fmt.Sprintf("%s points less accurate than %s (p %s)%s", strings.TrimPrefix(points, "−"), c.Name, probability(c.p), cost)
	}
	if cost != "" {
		cost = "," + cost
	}
	return fmt.Sprintf("as accurate as %s, as far as %s can show (%s points, p %s)%s", c.Name, words.Count(images, split+" image"), signed(100*c.gain, 1), probability(c.p), cost)
}

// verdict says in one sentence whether the search paid.
func verdict(found Trial, all []contest) string {
	order := slices.Clone(all)
	slices.SortStableFunc(order, func(a, b contest) int {
		return cmp.Or(cmp.Compare(a.outcome(), b.outcome()), cmp.Compare(a.gain, b.gain))
	})
	var parts []string
	for _, c := range order {
		parts = append(parts, c.said(found.Metrics.Count, found.Metrics.Split))
	}
	text := "the network it found is " + strings.Join(parts, "; it is ")
	switch order[0].outcome() {
	case better:
		return "The search paid: " + text + "."
	case cheaper:
		return "The search paid in what the network costs: " + text + "."
	case dearer:
		return "The search paid only if cost may be given for accuracy: " + text + "."
	case trade:
		return "The search paid only if accuracy may be given for cost: " + text + "."
	}
	return "The search did not pay: " + text + "."
}

// enumerate joins words: "a, b and c".
func enumerate(parts []string) string {
	last := len(parts) - 1
	if last == 0 {
		return parts[0]
	}
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

func probability(p float64) string {
	if p < 0.001 {
		return "< 0.001"
	}
	return "= " + number(p, 3)
}

// baselinesView shows the found network beside what it has to be better than.
type baselinesView struct {
	Verdict string
	Notes   []string
	Rows    []baselineRow
	Seconds bool // whether times are known
}

type baselineRow struct {
	Name, Accuracy, Interval, Difference, P, Parameters, MultiplyAdds, Latency, Training, Search string
	Found                                                                                        bool
}

func newBaselines(c Content) *baselinesView {
	if c.Found == nil || len(c.Baselines) == 0 {
		return nil
	}
	all := contests(*c.Found, c.Baselines)
	m := c.Found.Metrics
	v := &baselinesView{Verdict: verdict(*c.Found, all)}
	row := func(t Trial) baselineRow {
		i := stat.Wilson(hits(t.Metrics), t.Metrics.Count, intervalLevel)
		r := baselineRow{
			Name: t.Name, Accuracy: number(100*t.Metrics.Top1, 2) + "%", Interval: fmt.Sprintf("%s to %s", number(100*i.Low, 1), number(100*i.High, 1)),
			Parameters: words.Grouped(t.Metrics.Parameters), MultiplyAdds: magnitude(t.Metrics.MultiplyAdds), Latency: "–", Training: seconds(t.Training), Search: seconds(t.Search),
		}
		if l := t.Metrics.Latency; l != nil {
			r.Latency = number(l.P50, 2) + " ms"
		}
		v.Seconds = v.Seconds || t.Training > 0
		return r
	}
	first := row(*c.Found)
	first.Found = true
	v.Rows = append(v.Rows, first)
	paired := true
	for _, b := range all {
		r := row(b.Trial)
		r.Difference, r.P = signed(100*b.gain, 2), strings.TrimPrefix(probability(b.p), "= ")
		v.Rows = append(v.Rows, r)
		paired = paired && b.paired
	}
	test := "McNemar’s exact test, image by image"
	if !paired {
		test = "the test of two shares, since which images are right is not known of all"
	}
	if len(all) > 1 {
		test += fmt.Sprintf(", corrected for %d baselines (Holm)", len(all))
	}
	v.Notes = append(v.Notes, fmt.Sprintf("Intervals are 95%% (Wilson) and p is by %s: they are about the %s. Each network was trained once, and another seed would move its accuracy too.",
		test, words.Count(m.Count, m.Split+" image")))
	if unequal := unequalTraining(*c.Found, c.Baselines); unequal != "" {
		v.Notes = append(v.Notes, unequal)
	}
	return v
}

// unequalTraining says which trainings did not take as long as that of the found network, and what comes on top for the search.
func unequalTraining(found Trial, baselines []Trial) string {
	if found.Training == 0 {
		return ""
	}
	var said []string
	for _, b := range baselines {
		if b.Training > 0 && (b.Training > equalTraining*found.Training || b.Training < found.Training/equalTraining) {
			said = append(said, fmt.Sprintf("%s %s", b.Name, seconds(b.Training)))
		}
	}
	text := ""
	if len(said) > 0 {
		text = fmt.Sprintf("The trainings did not take equally long: %s for the found network, %s.", seconds(found.Training), strings.Join(said, ", "))
	}
	if found.Search >= 1 {
		text = strings.TrimSpace(text + fmt.Sprintf(" The search itself took %s, which the baselines did not have.", seconds(found.Search)))
	}
	return text
}

// seconds writes a time; "–" for none.
func seconds(s float64) string {
	switch {
	case s < 0.05:
		return "–"
	case s < 100:
		return number(s, 1) + " s"
	case s < 3600:
		return fmt.Sprintf("%d min %02d s", int(s+0.5)/60, int(s+0.5)%60)
	}
	return fmt.Sprintf("%d h %02d min", int(s+30)/3600, int(s+30)%3600/60)
}
