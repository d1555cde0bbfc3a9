package space_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/space/spacetest"
)

func TestNASBench201IsTheBenchmarksCell(t *testing.T) {
	s := space.NASBench201()
	edges := []space.Edge{{From: 0, To: 1}, {From: 0, To: 2}, {From: 1, To: 2}, {From: 0, To: 3}, {From: 1, To: 3}, {From: 2, To: 3}}
	operations := []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}
	if diff := cmp.Diff(&space.Space{Name: "nasbench201", Nodes: 4, Edges: edges, Operations: operations}, s); diff != "" {
		t.Errorf("space differs (-want +got):\n%s", diff)
	}
	if s.Size() != 15625 {
		t.Errorf("Size() = %d, want 15625", s.Size())
	}
}

func TestByName(t *testing.T) {
	for _, name := range space.Names() {
		s, err := space.ByName(name)
		if err != nil || s.Name != name {
			t.Errorf("ByName(%q) = %v, %v", name, s, err)
		}
	}
	_, err := space.ByName("nasbench-201")
	if err == nil || !strings.Contains(err.Error(), `did you mean "nasbench201"?`) {
		t.Errorf("error does not name the nearest space: %v", err)
	}
}

func TestCheckNamesTheFault(t *testing.T) {
	s := space.NASBench201()
	tests := []struct {
		arch space.Architecture
		want string
	}{
		{space.Architecture{0, 1, 2, 3, 4, 0}, ""},
		{space.Architecture{0, 1}, "architecture has 2 operations, space nasbench201 has 6 edges"},
		{space.Architecture{0, 1, 2, 5, 4, 0}, "operation 5 on edge 3 (3<-0) is out of range: space nasbench201 has operations 0 to 4"},
		{space.Architecture{-1, 1, 2, 3, 4, 0}, "operation -1 on edge 0 (1<-0) is out of range: space nasbench201 has operations 0 to 4"},
	}
	for _, tt := range tests {
		got := ""
		if err := s.Check(tt.arch); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("Check(%v) = %q, want %q", tt.arch, got, tt.want)
		}
	}
	if got := s.Format(space.Architecture{9, -1}); strings.Count(got, "?") != 6 {
		t.Errorf("Format of what is no architecture = %q, want six question marks", got)
	}
}

func TestAllYieldsEveryArchitectureOnce(t *testing.T) {
	s := space.NASBench201()
	seen := map[string]bool{}
	var first, last space.Architecture
	for a := range s.All() {
		if seen[a.Key()] {
			t.Fatalf("%v comes twice", a)
		}
		if last != nil && slices.Compare(last, a) >= 0 {
			t.Fatalf("%v comes after %v", a, last)
		}
		seen[a.Key()] = true
		if first == nil {
			first = a
		}
		last = a
	}
	if len(seen) != s.Size() || !first.Equal(space.Architecture{0, 0, 0, 0, 0, 0}) || !last.Equal(space.Architecture{4, 4, 4, 4, 4, 4}) {
		t.Errorf("%d architectures from %v to %v", len(seen), first, last)
	}
}

func TestDistanceIsAMetric(t *testing.T) {
	s := space.NASBench201()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := spacetest.Architectures(s).Draw(t, "a"), spacetest.Architectures(s).Draw(t, "b"), spacetest.Architectures(s).Draw(t, "c")
		ab, ba, bc, ac := space.Distance(a, b), space.Distance(b, a), space.Distance(b, c), space.Distance(a, c)
		switch {
		case ab != ba:
			t.Fatalf("not symmetric: %d, %d", ab, ba)
		case (ab == 0) != a.Equal(b):
			t.Fatalf("distance %d of %v and %v", ab, a, b)
		case ac > ab+bc:
			t.Fatalf("triangle: %d > %d + %d", ac, ab, bc)
		}
	})
}

func TestTotalVariationIsAMetric(t *testing.T) {
	s := space.NASBench201()
	rapid.Check(t, func(t *rapid.T) {
		p, q, r := spacetest.Probabilities(s, 6).Draw(t, "p"), spacetest.Probabilities(s, 6).Draw(t, "q"), spacetest.Probabilities(s, 6).Draw(t, "r")
		pq, qp, qr, pr := space.TotalVariation(p, q), space.TotalVariation(q, p), space.TotalVariation(q, r), space.TotalVariation(p, r)
		switch {
		case pq != qp:
			t.Fatalf("not symmetric: %g, %g", pq, qp)
		case pq < 0 || pq > float64(len(s.Edges)):
			t.Fatalf("distance %g is not between 0 and the number of edges", pq)
		case space.TotalVariation(p, p) != 0:
			t.Fatal("distance to itself is not 0")
		case pr > pq+qr+1e-12:
			t.Fatalf("triangle: %g > %g + %g", pr, pq, qr)
		}
	})
}

func TestTotalVariationOfOneHotIsDistance(t *testing.T) {
	s := space.NASBench201()
	rapid.Check(t, func(t *rapid.T) {
		a, b := spacetest.Architectures(s).Draw(t, "a"), spacetest.Architectures(s).Draw(t, "b")
		if tv, d := space.TotalVariation(s.OneHot(a), s.OneHot(b)), space.Distance(a, b); tv != float64(d) {
			t.Fatalf("total variation %g, distance %d", tv, d)
		}
	})
}

func TestShellsHoldAllNeighborsAtTheirDistance(t *testing.T) {
	s := space.NASBench201()
	sizes := []int{1, 24, 240, 1280, 3840, 6144, 4096}
	rapid.Check(t, func(t *rapid.T) {
		a := spacetest.Architectures(s).Draw(t, "a")
		d := rapid.IntRange(0, 3).Draw(t, "distance")
		shell := s.Shell(a, d)
		if len(shell) != sizes[d] || s.ShellSize(d) != sizes[d] {
			t.Fatalf("%d neighbors at distance %d, ShellSize says %d, want %d", len(shell), d, s.ShellSize(d), sizes[d])
		}
		seen := map[string]bool{}
		for i, b := range shell {
			if at := s.ShellAt(a, d, i); !at.Equal(b) {
				t.Fatalf("ShellAt(%d, %d) = %v, want %v", d, i, at, b)
			}
			if s.Check(b) != nil || space.Distance(a, b) != d || seen[b.Key()] {
				t.Fatalf("%v is not a new architecture at distance %d from %v", b, d, a)
			}
			seen[b.Key()] = true
		}
	})
	if a := s.ShellAt(space.Architecture{0, 0, 0, 0, 0, 0}, 1, 24); a != nil {
		t.Errorf("ShellAt beyond the shell = %v", a)
	}
	total := 0
	for d, want := range sizes {
		if s.ShellSize(d) != want {
			t.Errorf("ShellSize(%d) = %d, want %d", d, s.ShellSize(d), want)
		}
		total += s.ShellSize(d)
	}
	if total != s.Size() {
		t.Errorf("the shells hold %d architectures, the space %d", total, s.Size())
	}
}

func TestNeighborsComeNearestFirst(t *testing.T) {
	s := space.NASBench201()
	a := space.Architecture{3, 1, 0, 4, 2, 2}
	if got := s.Neighbors(a, 0); len(got) != 0 {
		t.Errorf("%d neighbors at radius 0", len(got))
	}
	got := s.Neighbors(a, 3)
	if len(got) != 24+240+1280 {
		t.Fatalf("%d neighbors at radius 3", len(got))
	}
	if !slices.IsSortedFunc(got, func(x, y space.Architecture) int { return space.Distance(a, x) - space.Distance(a, y) }) {
		t.Error("neighbors are not in order of distance")
	}
	want := []space.Architecture{{0, 1, 0, 4, 2, 2}, {1, 1, 0, 4, 2, 2}, {2, 1, 0, 4, 2, 2}, {4, 1, 0, 4, 2, 2}, {3, 0, 0, 4, 2, 2}}
	if diff := cmp.Diff(want, got[:5]); diff != "" {
		t.Errorf("first neighbors differ (-want +got):\n%s", diff)
	}
	if n := len(s.Neighbors(a, 99)); n != s.Size()-1 {
		t.Errorf("a radius beyond the edges reaches %d architectures, want all others", n)
	}
}

func TestSoftmax(t *testing.T) {
	got := space.Softmax([][]float64{{0, 0, 0, 0}, {1000, 1000, -1000}, {math.Log(1), math.Log(3)}})
	want := space.Probabilities{{0.25, 0.25, 0.25, 0.25}, {0.5, 0.5, 0}, {0.25, 0.75}}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-15)); diff != "" {
		t.Errorf("softmax differs (-want +got):\n%s", diff)
	}
}

func TestArgmaxUndoesOneHot(t *testing.T) {
	s := space.NASBench201()
	rapid.Check(t, func(t *rapid.T) {
		a := spacetest.Architectures(s).Draw(t, "a")
		p := s.OneHot(a)
		if got := p.Argmax(); !got.Equal(a) {
			t.Fatalf("Argmax = %v, want %v", got, a)
		}
		if got := p.Sample(rand.New(rand.NewPCG(1, 2))); !got.Equal(a) {
			t.Fatalf("Sample = %v, want %v", got, a)
		}
		if p.Entropy() != 0 {
			t.Fatalf("Entropy = %g, want 0", p.Entropy())
		}
	})
	tied := space.Probabilities{{0.2, 0.4, 0.4}}
	if got := tied.Argmax(); got[0] != 1 {
		t.Errorf("of equals Argmax takes %d, want the first", got[0])
	}
}

func TestEntropyIsTheMeanOverEdges(t *testing.T) {
	p := space.Probabilities{{0.25, 0.25, 0.25, 0.25}, {1, 0, 0, 0}}
	if got, want := p.Entropy(), math.Log(4)/2; math.Abs(got-want) > 1e-15 {
		t.Errorf("Entropy = %g, want %g", got, want)
	}
}

func TestSampleFollowsTheProbabilities(t *testing.T) {
	p := space.Probabilities{{0.1, 0, 0.6, 0.3}}
	rng := rand.New(rand.NewPCG(1, 2))
	const draws = 20000
	counts := make([]float64, 4)
	for range draws {
		counts[p.Sample(rng)[0]]++
	}
	for k, c := range counts {
		if math.Abs(c/draws-p[0][k]) > 0.015 {
			t.Errorf("operation %d was drawn in %.3f of the cases, want %.3f", k, c/draws, p[0][k])
		}
	}
}

func TestRandomIsUniform(t *testing.T) {
	s := space.NASBench201()
	rng := rand.New(rand.NewPCG(3, 4))
	const draws = 20000
	counts := make([][5]float64, len(s.Edges))
	for range draws {
		a := s.Random(rng)
		if err := s.Check(a); err != nil {
			t.Fatal(err)
		}
		for e, op := range a {
			counts[e][op]++
		}
	}
	for e := range counts {
		for op, c := range counts[e] {
			if math.Abs(c/draws-0.2) > 0.015 {
				t.Errorf("edge %d has operation %d in %.3f of the cases, want 0.2", e, op, c/draws)
			}
		}
	}
}

func TestCountOperation(t *testing.T) {
	s := space.NASBench201()
	a := space.Architecture{1, 1, 0, 3, 1, 4}
	for name, want := range map[string]int{"skip_connect": 3, "none": 1, "nor_conv_1x1": 0, "max_pool_3x3": 0} {
		if got := s.CountOperation(a, name); got != want {
			t.Errorf("CountOperation(%q) = %d, want %d", name, got, want)
		}
	}
}
