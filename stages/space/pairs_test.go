package space_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/space/spacetest"
)

// small is a space whose every architecture can be looked at: two cells, of one node with two and one with three edges.
func small() *space.Space {
	cell := []space.Edge{{From: 0, To: 2}, {From: 1, To: 2}, {From: 0, To: 3}, {From: 1, To: 3}, {From: 2, To: 3}}
	return &space.Space{Name: "small", Nodes: 4, Edges: append(cell, cell...), Operations: []string{"none", "a", "b"}, Cells: []string{"x", "y"}, Pairs: true}
}

func TestDARTSSpace(t *testing.T) {
	s := space.DARTS()
	if n := len(s.Edges); n != 28 || s.CellEdges() != 14 || s.Cell(13) != "normal" || s.Cell(14) != "reduce" || s.EdgeName(14) != "reduce 2<-0" {
		t.Errorf("%d edges, %d a cell; edge 14 is %q", n, s.CellEdges(), s.EdgeName(14))
	}
	// 1, 3, 6, 10 pairs of inputs and two of 7 operations at the nodes of each of two cells.
	cell := 1 * 3 * 6 * 10 * int(math.Pow(7, 8))
	if s.Size() != cell*cell || s.BigSize().String() != "1076746950455072400" {
		t.Errorf("%d architectures, %s", s.Size(), s.BigSize())
	}
	for d, want := range []int{1, 120} {
		if got := s.ShellSize(d); got != want {
			t.Errorf("%d architectures at distance %d, want %d", got, d, want)
		}
	}
	if s.Diameter() != 26 || s.ShellSize(26) == 0 || s.ShellSize(27) != 0 || s.ShellSize(-1) != 0 {
		t.Errorf("diameter %d, %d architectures there", s.Diameter(), s.ShellSize(26))
	}
}

func TestGenotypesAreArchitectures(t *testing.T) {
	s := space.DARTS()
	const v2 = "normal s3:0 s3:1/s3:0 s3:1/k:0 s3:1/k:0 d3:2, reduce m:0 m:1/m:1 k:2/m:0 k:2/m:1 k:2"
	want := space.Architecture{
		4, 4, 4, 4, 0, 3, 4, 0, 0, 3, 0, 6, 0, 0,
		1, 1, 0, 1, 3, 1, 0, 3, 0, 0, 1, 3, 0, 0,
	}
	for name, text := range map[string]string{
		"name": "DARTS_V2", "python": dartsV2, "short": v2,
		"another order": "normal s3:1 s3:0/s3:0 s3:1/k:0 s3:1/d3:2 k:0, reduce m:1 m:0/k:2 m:1/m:0 k:2/m:1 k:2",
		"full names":    strings.NewReplacer("s3:", "sep_conv_3x3:", "d3:", "dil_conv_3x3:", "m:", "max_pool_3x3:", "k:", "skip_connect:").Replace(v2),
		"white space":   strings.NewReplacer(":", " : ", "/", "\n / ", ",", "\t,").Replace(v2),
	} {
		a, err := s.Parse(text)
		if diff := cmp.Diff(want, a); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	if got := s.Format(want); got != v2 {
		t.Errorf("Format = %q, want %q", got, v2)
	}
	if got := strings.Join(s.OperationNames(want)[:4], " "); got != "sep_conv_3x3 sep_conv_3x3 sep_conv_3x3 sep_conv_3x3" || len(s.Chosen(want)) != 16 {
		t.Errorf("operations %s on %v", got, s.Chosen(want))
	}
	for name, count := range map[string]int{"skip_connect": 5, "max_pool_3x3": 5, "sep_conv_3x3": 5, "dil_conv_3x3": 1, "none": 0, "nor_conv_1x1": 0} {
		if got := s.CountOperation(want, name); got != count {
			t.Errorf("CountOperation(%q) = %d, want %d", name, got, count)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a := spacetest.Genotypes(s).Draw(t, "a")
		g, err := space.GenotypeOf(a)
		if err != nil || g.Check() != nil {
			t.Fatal(err, g.Check())
		}
		for _, text := range []string{g.String(), s.Format(a)} {
			if b, err := s.Parse(text); err != nil || !b.Equal(a) {
				t.Fatalf("%s is read as %v, %v", text, b, err)
			}
		}
	})
}

func TestMistakesInAGenotypeAsArchitecture(t *testing.T) {
	s := space.DARTS()
	const v2 = "normal s3:0 s3:1/s3:0 s3:1/k:0 s3:1/k:0 d3:2, reduce m:0 m:1/m:1 k:2/m:0 k:2/m:1 k:2"
	for _, tt := range []struct{ text, want string }{
		{"", `at character 1 found the end, want "normal"`},
		{"DARTS_V4", `unknown genotype "DARTS_V4": known are DARTS_V1, DARTS_V2, PC_DARTS_cifar; did you mean "DARTS_V1"?`},
		{strings.Replace(v2, "normal s3", "normal sep_conv_3x", 1), `at character 8 found "sep_conv_3x", want one of m (max_pool_3x3), a (avg_pool_3x3), k (skip_connect), s3 (sep_conv_3x3), s5 (sep_conv_5x5), d3 (dil_conv_3x3), d5 (dil_conv_5x5); did you mean "sep_conv_3x3"?`},
		{strings.Replace(v2, "s3:0 s3:1", "s3:0 s3:0", 1), `at character 16 found "0", want another state than 0, which the node takes already`},
		{strings.Replace(v2, "s3:0 s3:1", "s3:0 s3:2", 1), `at character 16 found "2", want a state that node 2 can take, one of 0, 1`},
		{strings.Replace(v2, "s3:0 s3:1", "s3:0 none:1", 1), `at character 13 found "none", want one of m (`},
		{strings.Replace(v2, "s3:0 s3:1", "s3:0", 1), `at character 12 found "/", want one of m (`},
		{strings.Replace(v2, ", reduce", ", reduction", 1), `found "reduction", want "reduce"`},
		{v2 + "/", `found "/", want the end`},
		{v2[:21], `at character 22 found the end, want one of m (`},
	} {
		_, err := s.Parse(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q:\n%v does not say\n%q", tt.text, err, tt.want)
		}
	}
	a, err := s.Parse(v2)
	if err != nil {
		t.Fatal(err)
	}
	a[4] = 3
	if err := s.Check(a); err == nil || err.Error() != "normal cell, node 3 keeps 3 of its 3 edges; in space darts every node keeps two" {
		t.Error(err)
	}
	if text := s.Format(space.Architecture{9}); !strings.HasPrefix(text, "normal ?:0 ?:1/?:0") {
		t.Errorf("what is no architecture prints as %s", text)
	}
}

func TestDistanceOfGenotypesIsAMetric(t *testing.T) {
	for _, s := range []*space.Space{space.DARTS(), small()} {
		rapid.Check(t, func(t *rapid.T) {
			a, b, c := spacetest.Genotypes(s).Draw(t, "a"), spacetest.Genotypes(s).Draw(t, "b"), spacetest.Genotypes(s).Draw(t, "c")
			ab, ba, bc, ac := s.Distance(a, b), s.Distance(b, a), s.Distance(b, c), s.Distance(a, c)
			switch {
			case ab != ba:
				t.Fatalf("not symmetric: %d, %d", ab, ba)
			case (ab == 0) != a.Equal(b):
				t.Fatalf("distance %d of %v and %v", ab, a, b)
			case ac > ab+bc:
				t.Fatalf("triangle: %d > %d + %d", ac, ab, bc)
			case ab > s.Diameter():
				t.Fatalf("distance %d is beyond the diameter", ab)
			case space.TotalVariation(s.OneHot(a), s.OneHot(b)) > 2*float64(ab):
				// A change of an operation moves one row of probabilities, one of an input two.
				t.Fatal("total variation is more than two for each change")
			}
		})
	}
}

// The distance is the number of changes on the shortest way through the space.
func TestDistanceOfGenotypesCountsSteps(t *testing.T) {
	s := small()
	a := space.Architecture{1, 1, 1, 2, 0, 2, 1, 0, 1, 1}
	steps, edge := map[string]int{a.Key(): 0}, []space.Architecture{a}
	for d := 1; len(edge) > 0; d++ {
		var next []space.Architecture
		for _, b := range edge {
			for _, c := range s.Shell(b, 1) {
				if _, known := steps[c.Key()]; !known {
					steps[c.Key()] = d
					next = append(next, c)
				}
			}
		}
		edge = next
	}
	if len(steps) != s.Size() {
		t.Errorf("%d architectures can be reached, the space has %d", len(steps), s.Size())
	}
	for b := range s.All() {
		if got := s.Distance(a, b); got != steps[b.Key()] {
			t.Fatalf("%v and %v: distance %d, %d steps", a, b, got, steps[b.Key()])
		}
	}
}

func TestNeighborsOfAGenotype(t *testing.T) {
	s := space.DARTS()
	rapid.Check(t, func(t *rapid.T) {
		a := spacetest.Genotypes(s).Draw(t, "a")
		shell, seen, operations, inputs := s.Shell(a, 1), map[string]bool{}, 0, 0
		for i, b := range shell {
			if s.Check(b) != nil || s.Distance(a, b) != 1 || seen[b.Key()] || i%16 == 0 && !s.ShellAt(a, 1, i).Equal(b) {
				t.Fatalf("neighbor %d, %v, is not a new one at distance 1", i, b)
			}
			seen[b.Key()] = true
			if slices.Equal(s.Chosen(a), s.Chosen(b)) {
				operations++
			} else if inputs++; s.CountOperation(a, "skip_connect") != s.CountOperation(b, "skip_connect") {
				t.Fatal("an edge that moves changes its operation")
			}
		}
		if operations != 96 || inputs != 24 || s.ShellSizeOf(a, 1) != 120 {
			t.Fatalf("%d changes of an operation and %d of an input", operations, inputs)
		}
		d := rapid.IntRange(0, s.Diameter()).Draw(t, "distance")
		size := s.ShellSizeOf(a, d)
		if size > s.ShellSize(d) {
			t.Fatalf("%d architectures at distance %d, at most %d expected", size, d, s.ShellSize(d))
		}
		if size == 0 {
			return
		}
		for range 5 {
			if b := s.ShellAt(a, d, rapid.IntRange(0, size-1).Draw(t, "index")); s.Check(b) != nil || s.Distance(a, b) != d {
				t.Fatalf("%v is at distance %d, want %d", b, s.Distance(a, b), d)
			}
		}
	})
	if s.ShellAt(s.Random(rand.New(rand.NewPCG(1, 1))), 1, 120) != nil {
		t.Error("there is a neighbor 120")
	}
}

func TestShellsOfGenotypesMakeUpTheSpace(t *testing.T) {
	s := small()
	var all []string
	for a := range s.All() {
		all = append(all, a.Key())
	}
	if len(all) != s.Size() || !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("All yields %d architectures, the space has %d", len(all), s.Size())
	}
	rapid.Check(t, func(t *rapid.T) {
		a := spacetest.Genotypes(s).Draw(t, "a")
		largest, seen := make([]bool, s.Diameter()+1), map[string]bool{a.Key(): true}
		for d := range largest {
			shell := s.Shell(a, d)
			if len(shell) != s.ShellSizeOf(a, d) || len(shell) > s.ShellSize(d) {
				t.Fatalf("%d architectures at distance %d, %d expected, at most %d", len(shell), d, s.ShellSizeOf(a, d), s.ShellSize(d))
			}
			for i, b := range shell {
				if s.Check(b) != nil || s.Distance(a, b) != d || i%16 == 0 && !s.ShellAt(a, d, i).Equal(b) {
					t.Fatalf("at distance %d from %v: %v", d, a, b)
				}
				seen[b.Key()] = true
			}
		}
		if len(seen) != s.Size() || len(s.Neighbors(a, 99)) != s.Size()-1 {
			t.Fatalf("the shells hold %d architectures, the space %d", len(seen), s.Size())
		}
	})
}

// The sizes of shells are computed; here they are counted, in a space with all ways in which two states can overlap.
func TestSizesOfShellsAreCounts(t *testing.T) {
	s := &space.Space{Name: "wide", Nodes: 5, Operations: []string{"none", "a", "b", "c"}, Pairs: true}
	for to := 2; to < 5; to++ {
		for from := range to {
			s.Edges = append(s.Edges, space.Edge{From: from, To: to})
		}
	}
	largest := make([]int, s.Diameter()+1)
	for _, a := range []space.Architecture{{1, 1, 0, 2, 2, 3, 0, 3, 0}, {1, 2, 0, 2, 2, 0, 1, 0, 2}, {1, 3, 1, 0, 3, 0, 0, 2, 1}, {2, 1, 1, 0, 3, 0, 0, 2, 2}} {
		counts := make([]int, s.Diameter()+1)
		for b := range s.All() {
			counts[s.Distance(a, b)]++
		}
		for d, want := range counts {
			if got := s.ShellSizeOf(a, d); got != want {
				t.Errorf("%v: ShellSizeOf says %d at distance %d, there are %d", a, got, d, want)
			}
			largest[d] = max(largest[d], want)
		}
	}
	for d, want := range largest {
		if got := s.ShellSize(d); got != want {
			t.Errorf("ShellSize says %d at distance %d, the largest is %d", got, d, want)
		}
	}
}

func TestRandomGenotypesAreUniform(t *testing.T) {
	s := small()
	rng := rand.New(rand.NewPCG(1, 2))
	counts := map[string]int{}
	const each = 100
	for range each * s.Size() {
		counts[s.Random(rng).Key()]++
	}
	chi := 0.0
	for _, c := range counts {
		chi += float64((c-each)*(c-each)) / each
	}
	// The mean of chi squared is the number of architectures, its variance twice that.
	if n := float64(s.Size()); len(counts) != s.Size() || math.Abs(chi-n) > 5*math.Sqrt(2*n) {
		t.Errorf("%d of %g architectures were drawn, chi squared %g", len(counts), n, chi)
	}
}

func TestDerive(t *testing.T) {
	s := space.DARTS()
	p := make([][]float64, 28)
	for e := range p {
		p[e] = []float64{5, 0, 0, 0, 0, 0, 0, 0} // none is the most probable on every edge, and does not count
	}
	p[2][3], p[4][7], p[3][5] = 0.5, 0.75, 0.25 // node 3: inputs 0 and 2
	p[5][1], p[5][2] = 3, 3                     // node 4: of equal operations the first; then of equal edges the first
	a := s.Derive(space.Softmax(p))
	want := space.Architecture{1, 1, 3, 0, 7, 1, 1, 0, 0, 1, 1, 0, 0, 0}
	if diff := cmp.Diff(want, a[:14]); diff != "" {
		t.Errorf("derived otherwise (-want +got):\n%s", diff)
	}
	rapid.Check(t, func(t *rapid.T) {
		a := spacetest.Genotypes(s).Draw(t, "a")
		if got := s.Derive(s.OneHot(a)); !got.Equal(a) {
			t.Fatalf("%v from the probabilities of %v", got, a)
		}
		p := spacetest.Probabilities(s, 6).Draw(t, "p")
		derived := s.Derive(p)
		if err := s.Check(derived); err != nil {
			t.Fatal(err)
		}
		best := s.MostProbable(p, 5)
		probability := func(a space.Architecture) (log float64) {
			for _, e := range s.Chosen(a) {
				log += math.Log(p[e][a[e]])
			}
			return log
		}
		last := math.Inf(1)
		for i, b := range best {
			log := probability(b)
			if s.Check(b) != nil || log > last+1e-9 || slices.ContainsFunc(best[:i], b.Equal) {
				t.Fatalf("number %d of the most probable is %v", i, b)
			}
			last = log
		}
		// Probabilities that differ by rounding alone may be told apart by one and not by the other.
		if len(best) != 5 || !best[0].Equal(derived) && math.Abs(probability(best[0])-probability(derived)) > 1e-9 {
			t.Fatal("the most probable is not what is derived")
		}
	})
	nb := space.NASBench201()
	q := space.Softmax([][]float64{{0, 1, 0, 0, 0}, {2, 0, 0, 0, 0}, {0, 0, 1, 0, 0}, {0, 0, 0, 1, 0}, {0, 0, 0, 0, 1}, {0, 1, 0, 0, 0}})
	if got := nb.Derive(q); !got.Equal(q.Argmax()) || !nb.MostProbable(q, 3)[0].Equal(got) {
		t.Errorf("derived %v", got)
	}
}

func FuzzParseDARTS(f *testing.F) {
	f.Add("normal s3:0 s3:1/s3:0 s3:1/k:0 s3:1/k:0 d3:2, reduce m:0 m:1/m:1 k:2/m:0 k:2/m:1 k:2")
	f.Add(dartsV2)
	f.Add("DARTS_V1")
	s := space.DARTS()
	f.Fuzz(func(t *testing.T, text string) {
		a, err := s.Parse(text)
		if err == nil {
			if b, err := s.Parse(s.Format(a)); err != nil || !b.Equal(a) {
				t.Errorf("%q was read as %v, which reads back as %v: %v", text, a, b, err)
			}
			return
		}
		var where *space.ParseError
		if errors.As(err, &where) && (where.Position < 1 || where.Position > len(text)+1) {
			t.Errorf("%q: the mistake is at %d", text, where.Position)
		}
	})
}
