package search

import (
	"math/rand/v2"
	"slices"

	"github.com/plateau-nas/plateau/stages/neighborhood"
	"github.com/plateau-nas/plateau/stages/space"
)

// theta are all architecture parameters of a search: alpha, edge by edge, and with edge weights beta, one number an edge.

// point is where theta stands, or a sample of it: what the loss is taken at, and the way back from a gradient there.
type point struct {
	space *space.Space
	// probabilities of the operations on each edge.
	probabilities space.Probabilities
	// edges are the weights of the edges, which on the edges into a node sum to one: the softmax of beta (PC-DARTS). Nil where
	// every edge counts fully.
	edges []float64
	// concentrations of the Dirichlet distribution that probabilities are a sample or the mean of; nil for a softmax.
	concentrations [][]float64
	slopes         [][]float64 // derivatives of the concentrations by alpha
	mean           bool        // probabilities are the mean
}

// at returns the point of theta: edge probabilities, or the mean of their Dirichlet distribution.
func (a *alpha) at(theta []float64) *point {
	ops := len(a.run.space.Operations)
	n := len(a.run.space.Edges) * ops
	p := &point{space: a.run.space}
	table := make([][]float64, len(a.run.space.Edges))
	for e := range table {
		table[e] = theta[e*ops : (e+1)*ops]
	}
	if a.run.relaxation() == Dirichlet {
		p.mean = true
		p.probabilities = make(space.Probabilities, len(table))
		for e, row := range table {
			c, slope, total := make([]float64, ops), make([]float64, ops), 0.0
			for o, v := range row {
				c[o], slope[o] = concentration(v)
				total += c[o]
			}
			p.concentrations, p.slopes = append(p.concentrations, c), append(p.slopes, slope)
			p.probabilities[e] = make([]float64, ops)
			for o := range c {
				p.probabilities[e][o] = c[o] / total
			}
		}
	} else {
		p.probabilities = space.Softmax(table)
	}
	if len(theta) > n {
		p.edges = make([]float64, len(table))
		for _, node := range intoNodes(a.run.space) {
			row := make([]float64, len(node))
			for i, e := range node {
				row[i] = theta[n+e]
			}
			for i, v := range space.Softmax([][]float64{row})[0] {
				p.edges[node[i]] = v
			}
		}
	}
	return p
}

// sample replaces the mean of a Dirichlet distribution by a sample of it; other points stay as they are, and rng is not used.
func (p *point) sample(rng *rand.Rand) *point {
	if p.concentrations == nil {
		return p
	}
	out := *p
	out.mean, out.probabilities = false, make(space.Probabilities, len(p.probabilities))
	for e, c := range p.concentrations {
		out.probabilities[e] = sampleDirichlet(c, rng)
	}
	return &out
}

// intoNodes returns the edges that end in each node, cell by cell.
func intoNodes(s *space.Space) [][]int {
	var out [][]int
	for e, edge := range s.Edges {
		if e > 0 && s.Edges[e-1].To == edge.To && s.Cell(e-1) == s.Cell(e) {
			out[len(out)-1] = append(out[len(out)-1], e)
		} else {
			out = append(out, []int{e})
		}
	}
	return out
}

// weights returns what each operation of each edge is multiplied with: its probability, times the weight of the edge. It is what
// the graphs take, and what an architecture is derived from.
func (p *point) weights() space.Probabilities {
	if p.edges == nil {
		return p.probabilities
	}
	w := p.probabilities.Clone()
	for e, row := range w {
		for o := range row {
			row[o] *= p.edges[e]
		}
	}
	return w
}

// back turns a gradient by weights into one by theta.
func (p *point) back(byWeights [][]float64) []float64 {
	var out []float64
	byEdge := make([]float64, len(byWeights))
	for e, g := range byWeights {
		g = slices.Clone(g)
		for o := range g {
			byEdge[e] += p.probabilities[e][o] * g[o]
			if p.edges != nil {
				g[o] *= p.edges[e]
			}
		}
		out = append(out, p.backRow(e, g)...)
	}
	if p.edges == nil {
		return out
	}
	byBeta := make([]float64, len(p.edges))
	for _, node := range intoNodes(p.space) {
		mean := 0.0
		for _, e := range node {
			mean += p.edges[e] * byEdge[e]
		}
		for _, e := range node {
			byBeta[e] = p.edges[e] * (byEdge[e] - mean)
		}
	}
	return append(out, byBeta...)
}

// backRow turns the gradient by the probabilities of an edge into that by its alpha.
func (p *point) backRow(e int, g []float64) []float64 {
	row, out := p.probabilities[e], make([]float64, len(g))
	if p.concentrations != nil && !p.mean {
		for o, v := range dirichletGradient(row, p.concentrations[e], g) {
			out[o] = v * p.slopes[e][o]
		}
		return out
	}
	mean, total := 0.0, 0.0
	for o := range g {
		mean += row[o] * g[o]
	}
	if p.concentrations != nil {
		for _, c := range p.concentrations[e] {
			total += c
		}
		for o := range g {
			out[o] = p.slopes[e][o] * (g[o] - mean) / total
		}
		return out
	}
	for o := range g {
		out[o] = row[o] * (g[o] - mean)
	}
	return out
}

// surroundings are the neighbors of a point that a step of alpha looks at. Their permutations and their distances are held
// where the step evaluates at several points.
type surroundings struct {
	neighbors []neighborhood.Relaxed
	distances []float64
}

// around draws the neighbors of a point. At radius 0 there is the point alone, and rng is not used.
func (a *alpha) around(p *point, rng *rand.Rand) surroundings {
	s := surroundings{neighbors: neighborhood.DrawRelaxedIn(a.run.space, p.weights(), a.run.Neighborhood, rng)}
	for _, nb := range s.neighbors {
		s.distances = append(s.distances, nb.Distance(p.probabilities))
	}
	return s
}

// evaluated is the aggregated loss around a point.
type evaluated struct {
	aggregated, loss, correct float64   // loss and hits are the first neighbor's, which is the center when that is included
	gradient                  []float64 // by theta
	shares                    []float64 // derivative of the aggregated loss by the loss of each neighbor
}

// lossFunc evaluates the loss at the weights of the operations, and its gradient by them.
type lossFunc func(weights space.Probabilities) (loss, correct float64, gradient [][]float64, err error)

// aggregate differentiates the aggregated loss over the surroundings of a point by theta.
func (a *alpha) aggregate(p *point, s surroundings, f lossFunc) (*evaluated, error) {
	scores, gradients := make([]float64, len(s.neighbors)), make([][][]float64, len(s.neighbors))
	center, out := p.weights(), &evaluated{}
	for i, nb := range s.neighbors {
		loss, correct, g, err := f(nb.Apply(center))
		if err != nil {
			return nil, err
		}
		if i == 0 {
			out.loss, out.correct = loss, correct
		}
		scores[i], gradients[i] = -loss, nb.Pullback(g)
	}
	// Scores are negative losses: for the derivative of the aggregated loss by a loss the signs cancel.
	out.aggregated, out.shares = -a.aggregator.Aggregate(scores, s.distances), a.aggregator.Gradient(scores, s.distances)
	total := gradients[0]
	for i, g := range gradients {
		for e := range g {
			for o, v := range g[e] {
				if i == 0 {
					total[e][o] = out.shares[0] * v
				} else {
					total[e][o] += out.shares[i] * v
				}
			}
		}
	}
	out.gradient = p.back(total)
	return out, nil
}
