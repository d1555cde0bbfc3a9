package supernet_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/plateau-nas/plateau/exporter/params"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

var ofAnEdge = regexp.MustCompile(`edge_\d+_\d+`)

// logitsOf runs the stand-alone network of an architecture. The convolutions on an edge have the weights that belong to the
// number of the edge; all else is as at the beginning of a training.
func logitsOf(t *testing.T, s *space.Space, a space.Architecture, numbers []int, images runtime.Tensor) []float32 {
	t.Helper()
	n := supernet.Network{Space: s.Reference(), Architecture: s.Format(a), Macro: supernet.Macro{Channels: 2, Cells: 1, Classes: 5, Image: [3]int{3, 8, 8}}}
	index, running := indexes(t, n)
	rng := rand.New(rand.NewPCG(0, 0))
	weights, statistics := index.Initialize(rng), running.Initialize(rng)
	for _, p := range index.All() {
		if p.Init == params.Ones || p.Init == params.Zeros {
			continue
		}
		key := p.Name
		for e, edge := range s.Edges {
			if name := fmt.Sprintf("edge_%d_%d.", edge.To, edge.From); strings.Contains(key, name) {
				key = ofAnEdge.ReplaceAllString(key, fmt.Sprint("number_", numbers[e]))
				break
			}
		}
		var seed [32]byte
		for i := range len(key) {
			seed[i%32] = seed[i%32]*31 + key[i]
		}
		values := rand.New(rand.NewChaCha8(seed))
		for i := range p.Size() {
			weights[p.Offset+i] = 0.5 * float32(values.NormFloat64())
		}
	}
	m, err := n.Inference(weights, statistics)
	return outputOf(t, m, err, map[string]runtime.Tensor{supernet.Images: images})
}

// agree reports whether the weights of b can change places so that it gives what a gives.
func agree(t *testing.T, s *space.Space, a, b space.Architecture, images runtime.Tensor) bool {
	t.Helper()
	own := make([]int, len(a))
	byOperation := map[int][]int{} // edges of a
	for e, op := range a {
		own[e] = e
		byOperation[op] = append(byOperation[op], e)
	}
	want := logitsOf(t, s, a, own, images)
	numbers, used := make([]int, len(b)), make([]bool, len(b))
	var give func(e int) bool
	give = func(e int) bool {
		if e == len(b) {
			for i, v := range logitsOf(t, s, b, numbers, images) {
				if math.Abs(float64(v-want[i])) > 1e-4*(1+math.Abs(float64(want[i]))) {
					return false
				}
			}
			return true
		}
		if !strings.Contains(s.Operations[b[e]], "conv") {
			return give(e + 1)
		}
		for _, number := range byOperation[b[e]] {
			if used[number] {
				continue
			}
			used[number], numbers[e] = true, number
			if give(e + 1) {
				return true
			}
			used[number] = false
		}
		return false
	}
	return give(0)
}

// The networks of architectures of one class compute the same, with the weights of one in other places of the other; those of
// different classes do not, however the weights are placed.
func TestNetworksOfAClassComputeTheSame(t *testing.T) {
	own, err := space.Declaration{Name: "own", Nodes: 4, Operations: []string{"none", "skip_connect", "max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3"}}.Space()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	x := make([]float32, 2*3*8*8)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	images := runtime.Tensor{Shape: []int64{2, 3, 8, 8}, Data: x}
	for _, s := range []*space.Space{space.NASBench201(), own} {
		sn, err := supernet.New(s, supernet.Macro{Channels: 2, Cells: 1, Classes: 5, Image: [3]int{3, 8, 8}})
		if err != nil {
			t.Fatal(err)
		}
		convolutions := func(a space.Architecture) (n int) {
			for _, op := range a {
				if strings.Contains(s.Operations[op], "conv") {
					n++
				}
			}
			return n
		}
		first, byCount := map[string]space.Architecture{}, map[int]space.Architecture{}
		same, different := 0, 0
		for same < 10 || different < 5 {
			a := sn.Live(s.Random(rng))
			n := convolutions(a)
			if n < 1 || n > 3 {
				continue
			}
			class := s.Class(a)
			if b, ok := first[class]; ok && !a.Equal(b) && same < 10 {
				same++
				if !agree(t, s, a, b, images) {
					t.Errorf("%s and %s are of class %s and compute different things", s.Format(a), s.Format(b), class)
				}
			}
			if b, ok := byCount[n]; ok && s.Class(b) != class && different < 5 {
				different++
				if agree(t, s, a, b, images) {
					t.Errorf("%s and %s compute the same and are of different classes", s.Format(a), s.Format(b))
				}
			}
			if _, ok := first[class]; !ok {
				first[class] = a
			}
			byCount[n] = a
		}
	}
}
