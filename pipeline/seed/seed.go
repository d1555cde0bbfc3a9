// Package seed derives independent random streams from the one seed of a document.
//
// A stream is named by the labels that lead to it ("search", "epoch", "3"): equal seeds and labels give
// equal streams on every machine, and streams with different labels are unrelated. Code that derives a
// fresh stream for each epoch or sample needs to save no generator state in its checkpoints, and gives
// the same numbers however many goroutines share the work.
package seed

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Derive returns the seed of the stream that the labels name. Labels are length-prefixed before they are
// hashed, so ("ab", "c") and ("a", "bc") are different streams.
func Derive(seed uint64, labels ...string) uint64 {
	hi, _ := derive(seed, labels)
	return hi
}

// New returns a generator for the stream that the labels name.
func New(seed uint64, labels ...string) *rand.Rand { return rand.New(Source(seed, labels...)) }

// Source returns what New's generator draws from, for those who save its state: in a checkpoint between two steps of an epoch.
func Source(seed uint64, labels ...string) *rand.PCG {
	hi, lo := derive(seed, labels)
	return rand.NewPCG(hi, lo)
}

// At returns a generator for item i of the stream with the given derived seed: cheap enough to call once
// for every image of every epoch.
func At(seed uint64, i uint64) *rand.Rand {
	p := new(rand.PCG)
	Reset(p, seed, i)
	return rand.New(p)
}

// Reset puts p at the beginning of the stream that At(seed, i) returns, so that a loop over many items can reuse
// one generator.
func Reset(p *rand.PCG, seed uint64, i uint64) {
	p.Seed(seed, mix(seed^mix(i+1)))
}

func derive(seed uint64, labels []string) (hi, lo uint64) {
	h := sha256.New()
	var b [8]byte
	put := func(v uint64) {
		binary.LittleEndian.PutUint64(b[:], v)
		h.Write(b[:])
	}
	put(seed)
	for _, l := range labels {
		put(uint64(len(l)))
		h.Write([]byte(l))
	}
	sum := h.Sum(nil)
	return binary.LittleEndian.Uint64(sum), binary.LittleEndian.Uint64(sum[8:])
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014): neighboring inputs give unrelated outputs.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
