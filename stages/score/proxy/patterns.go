package proxy

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// times returns how many activations of an architecture a value goes through.
func times(v supernet.Activated, s *space.Space, a space.Architecture) int {
	n := v.Always
	for _, e := range v.Edges {
		if supernet.Activates(s.Operations[a[e]]) {
			n++
		}
	}
	return n
}

// ofPatterns adds the proxies that look at which activations are positive for which images. counts tells for each value how many
// activations it goes through; wants which proxies to compute.
func ofPatterns(values []supernet.Activated, counts []int, batch int, y map[string]runtime.Tensor, wants func(...string) bool, out map[string]float64) error {
	if wants(NASWOT) {
		v, err := naswot(values, counts, batch, y[supernet.Agreements].Data.([]float32))
		if err != nil {
			return err
		}
		out[NASWOT] = v
	}
	if wants(SWAP, SWAPRegularized) {
		out[SWAP] = float64(distinctPatterns(values, counts, batch, y[supernet.Codes].Data.([]float32)))
	}
	return nil
}

// naswot is the logarithm of the determinant of the matrix of how many elements are active, or not, for both of two images.
func naswot(values []supernet.Activated, counts []int, n int, agreements []float32) (float64, error) {
	kernel := make([]float64, n*n)
	for s, v := range values {
		both := agreements[s*n*n : (s+1)*n*n]
		for i := range n {
			for j := range n {
				// As many are active for neither as are left of all without those of i and of j.
				neither := float64(v.Width) - float64(both[i*n+i]) - float64(both[j*n+j]) + float64(both[i*n+j])
				kernel[i*n+j] += float64(counts[s]) * (float64(both[i*n+j]) + neither)
			}
		}
	}
	var lu mat.LU
	lu.Factorize(mat.NewDense(n, n, kernel))
	det, sign := lu.LogDet()
	if sign == 0 || math.IsInf(det, 0) || math.IsNaN(det) {
		return 0, &noValueError{NASWOT, "the activations do not tell the images apart"}
	}
	return det, nil
}

// distinctPatterns counts the different patterns of the images for which an element is active.
func distinctPatterns(values []supernet.Activated, counts []int, n int, codes []float32) int {
	rows := (n + supernet.CodeBits - 1) / supernet.CodeBits
	width := len(codes) / rows
	used := make([]bool, 0, width)
	for s, v := range values {
		for range v.Width {
			used = append(used, counts[s] > 0)
		}
	}
	if rows <= 2 {
		seen := newCodes(width)
		for i, u := range used {
			if u {
				code := uint64(codes[i])
				if rows == 2 {
					code |= uint64(codes[width+i]) << supernet.CodeBits
				}
				seen.add(code)
			}
		}
		return seen.count
	}
	seen := map[string]struct{}{}
	pattern := make([]byte, 4*rows)
	for i, u := range used {
		if !u {
			continue
		}
		for r := range rows {
			code := uint32(codes[r*width+i])
			pattern[4*r], pattern[4*r+1], pattern[4*r+2] = byte(code), byte(code>>8), byte(code>>16)
		}
		seen[string(pattern)] = struct{}{}
	}
	return len(seen)
}

// codeSet is a set of numbers below 2^63, by open addressing: a map takes longer than the network.
type codeSet struct {
	slots []uint64 // number + 1, 0 where there is none
	count int
}

func newCodes(most int) *codeSet {
	size := 16
	for size < 2*most {
		size *= 2
	}
	return &codeSet{slots: make([]uint64, size)}
}

func (c *codeSet) add(code uint64) {
	mask := uint64(len(c.slots) - 1)
	h := code * 0x9e3779b97f4a7c15
	for i := (h ^ h>>32) & mask; ; i = (i + 1) & mask {
		switch c.slots[i] {
		case 0:
			c.slots[i] = code + 1
			c.count++
			return
		case code + 1:
			return
		}
	}
}

// regularized is the SWAP score times a bell curve of the number of parameters in thousands.
func (st Settings) regularized(swap, parameters float64) float64 {
	d := parameters/1000 - st.SWAPMu
	return swap * math.Exp(-d*d/st.SWAPSigma)
}
