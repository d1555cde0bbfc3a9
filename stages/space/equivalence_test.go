package space_test

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plateau-nas/plateau/pipeline/publicdata"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/space/spacetest"
)

// The numbers of a small algebra in which cells are computed exactly: pairs of integers modulo a prime. Operations with weights
// are polynomials without a constant term, average pools are linear, max pools a fraction that is homogeneous, and nothing else
// connects them, so that two cells agree on drawn numbers only where they agree always (but for a chance of about 1e-16).
const prime = 1<<61 - 1

type number [2]uint64

func times(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return bits.Rem64(high, low, prime)
}

func inverse(a uint64) uint64 {
	out := uint64(1)
	for e := uint64(prime - 2); e > 0; e >>= 1 {
		if e&1 == 1 {
			out = times(out, a)
		}
		a = times(a, a)
	}
	return out
}

func (a number) plus(b number) number {
	return number{(a[0] + b[0]) % prime, (a[1] + b[1]) % prime}
}

// drawn returns a fixed number below the prime for each name.
func drawn(name string) number {
	var seed [32]byte
	copy(seed[:], name)
	rng := rand.New(rand.NewChaCha8(seed))
	return number{rng.Uint64N(prime-1) + 1, rng.Uint64N(prime-1) + 1}
}

// algebra computes the cells of a space that has one kind of cell.
type algebra struct {
	space  *space.Space
	drawn  map[string]number
	inputs int
}

func newAlgebra(s *space.Space) *algebra {
	inputs := 1
	if s.Pairs {
		inputs = s.Edges[0].To
	}
	return &algebra{space: s, drawn: map[string]number{}, inputs: inputs}
}

func (x *algebra) draw(name string, i int) number {
	key := name + string(rune('0'+i))
	v, ok := x.drawn[key]
	if !ok {
		v = drawn(key)
		x.drawn[key] = v
	}
	return v
}

func (x *algebra) weighted(a space.Architecture, e int) bool {
	op := x.space.Operations[a[e]]
	return strings.Contains(op, "conv") || op == "skip_connect" && x.space.Cell(e) == "reduce" && x.space.Edges[e].From < x.inputs
}

// outputs computes the cell with the weights that belong to the numbers of its edges.
func (x *algebra) outputs(a space.Architecture, weights []int) []number {
	nodes := make([]number, x.space.Nodes)
	for n := range x.inputs {
		nodes[n] = x.draw("input", n)
	}
	for e, edge := range x.space.Edges {
		op, v := x.space.Operations[a[e]], nodes[edge.From]
		switch {
		case op == "none":
			continue
		case x.weighted(a, e):
			w, u := x.draw(op, 2*weights[e]), x.draw(op, 2*weights[e]+1)
			v = number{(times(w[0], times(v[0], v[0])) + times(w[1], v[1])) % prime, (times(u[0], times(v[1], v[1])) + times(u[1], v[0])) % prime}
		case strings.HasPrefix(op, "avg_pool"):
			w, u := x.draw(op, 0), x.draw(op, 1)
			v = number{(times(w[0], v[0]) + times(w[1], v[1])) % prime, (times(u[0], v[0]) + times(u[1], v[1])) % prime}
		case strings.HasPrefix(op, "max_pool") && v != number{}:
			w := x.draw(op, 0)
			v = number{times(w[0], times(times(v[0], v[0]), inverse(v[1]))), times(w[1], times(times(v[1], v[1]), inverse(v[0])))}
		}
		nodes[edge.To] = nodes[edge.To].plus(v)
	}
	if !x.space.Pairs {
		return nodes[x.space.Nodes-1:]
	}
	out := nodes[x.inputs:]
	slices.SortFunc(out, compareNumbers)
	return out
}

func compareNumbers(a, b number) int { return slices.Compare(a[:], b[:]) }

// signature is the least result over all ways to give the edges that matter the first weights of their operations: equal
// for architectures of which one becomes the other when its weights change places.
func (x *algebra) signature(a space.Architecture) []number {
	weights := make([]int, len(a))
	for e := range weights {
		weights[e] = 50 + e
	}
	before := x.outputs(a, weights)
	var live []int
	for e := range a {
		if weights[e] += 100; x.weighted(a, e) && slices.CompareFunc(x.outputs(a, weights), before, compareNumbers) != 0 {
			live = append(live, e)
		}
		weights[e] -= 100
	}
	var least []number
	used := map[[2]int]bool{}
	var give func(i int)
	give = func(i int) {
		if i == len(live) {
			if out := x.outputs(a, weights); least == nil || slices.CompareFunc(out, least, compareNumbers) < 0 {
				least = out
			}
			return
		}
		e, same := live[i], 0
		for _, f := range live {
			if a[f] == a[e] {
				same++
			}
		}
		for w := range same {
			if key := [2]int{a[e], w}; !used[key] {
				used[key], weights[e] = true, w
				give(i + 1)
				used[key] = false
			}
		}
	}
	give(0)
	return least
}

// smallPairs is like a cell of the DARTS space, with three nodes and few operations.
func smallPairs(cell string) *space.Space {
	return &space.Space{
		Name: "pairs", Nodes: 5, Pairs: true, Cells: []string{cell},
		Edges:      []space.Edge{{0, 2}, {1, 2}, {0, 3}, {1, 3}, {2, 3}, {0, 4}, {1, 4}, {2, 4}, {3, 4}},
		Operations: []string{"none", "avg_pool_3x3", "skip_connect", "sep_conv_3x3"},
	}
}

func declared(t testing.TB, nodes int, operations ...string) *space.Space {
	t.Helper()
	s, err := space.Declaration{Name: "declared", Nodes: nodes, Operations: operations}.Space()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestClassesAreFunctions holds the classes of whole spaces against cells that are computed with numbers.
func TestClassesAreFunctions(t *testing.T) {
	for name, s := range map[string]*space.Space{
		"nasbench201":    space.NASBench201(),
		"declared":       declared(t, 4, "none", "skip_connect", "max_pool_3x3", "sep_conv_3x3"),
		"two pools":      declared(t, 4, "skip_connect", "avg_pool_3x3", "max_pool_3x3", "nor_conv_3x3"),
		"pairs":          smallPairs("normal"),
		"pairs, reduced": smallPairs("reduce"),
	} {
		t.Run(name, func(t *testing.T) {
			x := newAlgebra(s)
			functions, classes := map[string]string{}, map[string]string{}
			for a := range s.All() {
				var b strings.Builder
				for _, n := range x.signature(a) {
					b.WriteString(string(binary(n)))
				}
				function, class := b.String(), s.Class(a)
				if other, ok := functions[class]; ok && other != function {
					t.Fatalf("%s has class %q like another one, and computes something else", s.Format(a), class)
				}
				if other, ok := classes[function]; ok && other != class {
					t.Fatalf("%s has class %q, and computes what class %q does", s.Format(a), class, other)
				}
				functions[class], classes[function] = function, class
			}
			if len(functions) == s.Size() {
				t.Errorf("every one of %d architectures has a class of its own", s.Size())
			}
		})
	}
}

func binary(n number) []byte {
	var out []byte
	for _, v := range n {
		for range 8 {
			out, v = append(out, byte(v)), v>>8
		}
	}
	return out
}

func TestClassReads(t *testing.T) {
	nb, darts := space.NASBench201(), space.DARTS()
	for text, want := range map[string]string{
		"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|":                                         "0",
		"|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|":                         "0",
		"|skip_connect~0|+|none~0|none~1|+|skip_connect~0|skip_connect~1|none~2|":                 "2*x",
		"|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|none~0|skip_connect~1|none~2|":                 "nor_conv_3x3(x)",
		"|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|skip_connect~1|skip_connect~2|":         "nor_conv_3x3(x) + nor_conv_3x3(x)",
		"|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|skip_connect~1|skip_connect~2|":         "2*nor_conv_3x3(x)",
		"|skip_connect~0|+|nor_conv_3x3~0|none~1|+|avg_pool_3x3~0|avg_pool_3x3~1|avg_pool_3x3~2|": "2*avg_pool_3x3(x) + avg_pool_3x3(nor_conv_3x3(x))",
		"|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|none~0|skip_connect~1|skip_connect~2|":         "t1 = nor_conv_3x3(x); t1 + nor_conv_1x1(t1)",
		"normal k:0 k:1/s3:0 s3:1/s3:0 s3:1/k:0 k:2, reduce k:0 m:1/k:2 m:1/m:0 k:2/m:0 k:1": "normal x0 + x1 | 2*x0 + x1 | sep_conv_3x3(x0) + sep_conv_3x3(x1) | sep_conv_3x3(x0) + sep_conv_3x3(x1), " +
			"reduce t1 = max_pool_3x3(x0); t2 = max_pool_3x3(x1); t3 = skip_connect(x0); t1 + skip_connect(x1) | t2 + t3 | t1 + t2 + t3 | 2*t2 + t3",
	} {
		s := nb
		if strings.HasPrefix(text, "normal") {
			s = darts
		}
		a, err := s.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Class(a); got != want {
			t.Errorf("class of %s:\n%s\nwant\n%s", text, got, want)
		}
	}
	if got := nb.Class(space.Architecture{1}); got != "" {
		t.Errorf("what is no architecture has class %q", got)
	}
}

// TestClassIsInvariant changes architectures in ways that keep what they compute.
func TestClassIsInvariant(t *testing.T) {
	s := declared(t, 5, "none", "skip_connect", "nor_conv_3x3", "max_pool_3x3", "sep_conv_3x3")
	at := func(to, from int) int { return slices.Index(s.Edges, space.Edge{From: from, To: to}) }
	rapid.Check(t, func(t *rapid.T) {
		a := spacetest.Architectures(s).Draw(t, "a")
		n := rapid.IntRange(1, s.Nodes-3).Draw(t, "node")
		a[at(n+1, n)] = 0 // so that the nodes n and n+1 may change places
		b := a.Clone()
		for m := range s.Nodes {
			switch {
			case m < n:
				b[at(n, m)], b[at(n+1, m)] = a[at(n+1, m)], a[at(n, m)]
			case m > n+1:
				b[at(m, n)], b[at(m, n+1)] = a[at(m, n+1)], a[at(m, n)]
			}
		}
		if s.Class(a) != s.Class(b) {
			t.Fatalf("nodes %d and %d changed places:\n%s\n%s", n, n+1, s.Class(a), s.Class(b))
		}
	})
}

// TestClassOfGenotypes lets two nodes of a cell change places that take the cell's inputs only.
func TestClassOfGenotypes(t *testing.T) {
	s := space.DARTS()
	at := func(to, from int) int { return slices.Index(s.Edges, space.Edge{From: from, To: to}) }
	classes := space.NewClasses(s)
	rapid.Check(t, func(t *rapid.T) {
		a := spacetest.Genotypes(s).Draw(t, "a")
		first := rapid.SampledFrom([]int{0, space.DARTSEdges}).Draw(t, "cell")
		a[first+at(3, 0)], a[first+at(3, 1)], a[first+at(3, 2)] = rapid.IntRange(1, 7).Draw(t, "3<-0"), rapid.IntRange(1, 7).Draw(t, "3<-1"), 0
		b := a.Clone()
		swap := func(e, f int) { b[first+e], b[first+f] = b[first+f], b[first+e] }
		swap(at(2, 0), at(3, 0))
		swap(at(2, 1), at(3, 1))
		swap(at(4, 2), at(4, 3))
		swap(at(5, 2), at(5, 3))
		if classes.Of(a) != s.Class(b) {
			t.Fatalf("%s\n%s", s.Class(a), s.Class(b))
		}
		// The inputs are different ones.
		c := a.Clone()
		for n := 2; n < s.Nodes; n++ {
			c[first+at(n, 0)], c[first+at(n, 1)] = a[first+at(n, 1)], a[first+at(n, 0)]
		}
		if asymmetric := a[first+at(2, 0)] == 4 && a[first+at(2, 1)] == 5 && a[first+at(3, 0)] == 4 && a[first+at(3, 1)] == 5; asymmetric && s.Class(a) == s.Class(c) {
			t.Fatalf("the inputs changed places: %s", s.Class(a))
		}
	})
}

// TestClassOfManyEqualParts takes cells with far more symmetries than could be tried one by one.
func TestClassOfManyEqualParts(t *testing.T) {
	s := declared(t, 10, "none", "nor_conv_3x3")
	a := make(space.Architecture, len(s.Edges))
	for e, edge := range s.Edges {
		if edge.From == 0 || edge.To == 9 {
			a[e] = 1
		}
	}
	want := "nor_conv_3x3(x)" + strings.Repeat(" + nor_conv_3x3(nor_conv_3x3(x))", 8)
	if got := s.Class(a); got != want {
		t.Errorf("class %s, want %s", got, want)
	}
	for e := range a {
		a[e] = 1
	}
	if got := s.Class(a); !strings.HasPrefix(got, "t1 = nor_conv_3x3(x); ") {
		t.Errorf("class %s", got)
	}
}

func TestCountClasses(t *testing.T) {
	s := space.NASBench201()
	classes, err := s.CountClasses()
	if err != nil {
		t.Fatal(err)
	}
	if len(classes) != 5044 {
		t.Errorf("%d classes, want 5044", len(classes))
	}
	members := 0
	for _, c := range classes {
		members += c.Members
		if got := s.Class(c.Representative); got != c.Class {
			t.Errorf("%s represents class %q and is of class %q", s.Format(c.Representative), c.Class, got)
		}
	}
	if members != s.Size() {
		t.Errorf("%d members in %d architectures", members, s.Size())
	}
	if _, err := space.DARTS().CountClasses(); err == nil {
		t.Error("the classes of the DARTS space are counted")
	}
}

// TestClassesTrainAlike holds the classes against trainings: architectures of one class differ in accuracy by what the seeds of a
// training leave, others by far more.
func TestClassesTrainAlike(t *testing.T) {
	s := space.NASBench201()
	members := map[string][]float64{}
	var all []float64
	for _, row := range publicdata.Rows(t, "nasbench201", "accuracy_200ep_cifar100.csv") {
		a, err := s.Parse(row["arch"])
		if err != nil {
			t.Fatal(err)
		}
		accuracy, err := strconv.ParseFloat(row["cifar100_test_mean"], 64)
		if err != nil {
			t.Fatal(err)
		}
		class := s.Class(a)
		members[class], all = append(members[class], accuracy), append(all, accuracy)
	}
	var within, between []float64
	for _, accuracies := range members {
		for i, x := range accuracies {
			for _, y := range accuracies[:i] {
				within = append(within, math.Abs(x-y))
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		between = append(between, math.Abs(all[rng.IntN(len(all))]-all[rng.IntN(len(all))]))
	}
	slices.Sort(within)
	slices.Sort(between)
	if median := within[len(within)/2]; median > 0.3 {
		t.Errorf("of one class, accuracies differ by %.2f points in the median, want at most 0.3", median)
	}
	if high := within[len(within)*9/10]; high > 1 {
		t.Errorf("of one class, a tenth of the accuracies differ by more than %.2f points, want at most 1", high)
	}
	if median := between[len(between)/2]; median < 4 {
		t.Errorf("accuracies of drawn architectures differ by %.2f points in the median", median)
	}
}

// asTree writes a class without telling a result that is used twice from two results: every name of one is replaced by what it stands
// for, and terms are sorted.
func asTree(class string) string {
	definitions := map[string]string{}
	var sum func(text string) string
	sum = func(text string) string {
		var terms []string
		for text != "" {
			depth, end := 0, len(text)
			for i, c := range text {
				if c == '(' {
					depth++
				} else if c == ')' {
					depth--
				} else if depth == 0 && strings.HasPrefix(text[i:], " + ") {
					end = i
					break
				}
			}
			term := text[:end]
			text = strings.TrimPrefix(text[end:], " + ")
			times := 1
			if number, rest, ok := strings.Cut(term, "*"); ok && !strings.ContainsAny(number, "(") {
				times, _ = strconv.Atoi(number)
				term = rest
			}
			if op, of, ok := strings.Cut(term, "("); ok {
				term = op + "(" + sum(strings.TrimSuffix(of, ")")) + ")"
			} else if definition, ok := definitions[term]; ok {
				term = definition
			}
			terms = append(terms, slices.Repeat([]string{term}, times)...)
		}
		slices.Sort(terms)
		return strings.Join(terms, " + ")
	}
	parts := strings.Split(class, "; ")
	for _, part := range parts[:len(parts)-1] {
		name, definition, _ := strings.Cut(part, " = ")
		definitions[name] = sum(definition)
	}
	return sum(parts[len(parts)-1])
}

// TestClassesKnowThePublishedEqualities holds the classes against the benchmark's own canonical form, of which the public table has 6,466:
// what is equal by that has the same class but for results that are used twice, which that form takes for two.
func TestClassesKnowThePublishedEqualities(t *testing.T) {
	if got, want := asTree("t1 = a(x); t2 = b(2*t1 + x); t1 + 2*c(t2) + t2"), "a(x) + b(a(x) + a(x) + x) + c(b(a(x) + a(x) + x)) + c(b(a(x) + a(x) + x))"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	s := space.NASBench201()
	trees := map[string]string{}
	for _, row := range publicdata.Rows(t, "nasbench201", "cost.csv") {
		a, err := s.Parse(row["arch"])
		if err != nil {
			t.Fatal(err)
		}
		tree, published := asTree(s.Class(a)), row["unique_string"]
		if other, ok := trees[published]; ok && other != tree {
			t.Fatalf("%s computes %s, and another one with the published form %s computes %s", row["arch"], tree, published, other)
		}
		trees[published] = tree
	}
	if len(trees) != 6466 {
		t.Errorf("%d published forms, want 6466", len(trees))
	}
}
