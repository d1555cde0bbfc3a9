package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/stages/dataset"
	"github.com/plateau-nas/plateau/stages/score"
	"github.com/plateau-nas/plateau/stages/score/proxy"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// ProxyOptions say what Proxy times.
type ProxyOptions struct {
	Space         string
	Channels      int
	Cells         int // cells a stage
	ImageSize     int // height and width in pixels
	Images        int // in the batch that the proxies are taken on
	Proxies       []string
	Architectures int // random ones that are timed, different from each other
	Alone         int // of these, how many are also computed by graphs of their own
}

// ProxyReport is what Proxy found: how fast untrained architectures are scored by zero-cost proxies on random images, loading of graphs
// included. Workers have one thread each.
type ProxyReport struct {
	Space         string   `json:"space"`
	Channels      int      `json:"channels"`
	Cells         int      `json:"cells"`
	ImageSize     int      `json:"image_size"`
	Images        int      `json:"images"`
	Proxies       []string `json:"proxies"`
	Architectures int      `json:"architectures"`
	Distinct      int      `json:"distinct_architectures"` // of those, which differ in operations that have a bearing; only these are computed
	Library       string   `json:"onnxruntime"`
	Provider      string   `json:"provider"`
	Threads       int      `json:"threads"` // of which each works on one architecture
	// Seconds is the time of all architectures, Rate how many are scored in a second.
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"architectures_per_second"`
	// AloneRate is the same for Alone architectures of which each is a graph that is loaded for it, as for the proxies and spaces
	// that have no graph for all architectures; 0 where that was not timed. Ratio is the first rate divided by this one.
	Alone     int     `json:"alone_architectures"`
	AloneRate float64 `json:"alone_architectures_per_second"`
	Ratio     float64 `json:"ratio"`
	// Difference is the largest relative one between the values of the two ways.
	Difference float64 `json:"largest_relative_difference"`
	// PeakRSS is the largest resident memory of the process in MiB; 0 where the system does not tell.
	PeakRSS int64 `json:"peak_rss_mib"`
}

// Proxy times the scoring of random architectures by zero-cost proxies.
func Proxy(ctx context.Context, rt *runtime.Runtime, o ProxyOptions) (_ *ProxyReport, err error) {
	if o.Architectures < 1 || o.Alone < 0 || o.Alone > o.Architectures || o.Images < 2 || o.ImageSize < 1 {
		return nil, fmt.Errorf("%d architectures, %d of them alone, on %d images of %d pixels: at least one architecture, two images and one pixel are needed, and no more alone than there are", o.Architectures, o.Alone, o.Images, o.ImageSize)
	}
	s, err := space.ByName(o.Space)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	if n := s.Size(); n < o.Architectures {
		return nil, fmt.Errorf("the space %s has %d architectures, and %d are to be timed", s.Name, n, o.Architectures)
	}
	seen := map[string]bool{}
	var architectures []space.Architecture
	for len(architectures) < o.Architectures {
		if a := s.Random(rng); !seen[a.Key()] {
			seen[a.Key()] = true
			architectures = append(architectures, a)
		}
	}
	m := supernet.Macro{Channels: o.Channels, Cells: o.Cells, Classes: classes, Image: [3]int{3, o.ImageSize, o.ImageSize}}
	st := proxy.Settings{Proxies: o.Proxies, Images: o.Images}
	r := &ProxyReport{
		Space: o.Space, Channels: o.Channels, Cells: o.Cells, ImageSize: o.ImageSize, Images: o.Images, Proxies: o.Proxies, Architectures: o.Architectures,
		Alone: o.Alone, Library: rt.LibraryVersion(), Provider: rt.Provider(), Threads: rt.Threads(),
	}
	images := randomImages(rng, 2*o.Images, o.ImageSize) // some proxies take two batches
	run := func(architectures []space.Architecture, alone bool) (results []score.Result, seconds float64, err error) {
		began := time.Now()
		e, err := proxy.New(ctx, rt, s, m, images, []float32{0.5, 0.5, 0.5}, []float32{0.25, 0.25, 0.25}, 1, st)
		if err != nil {
			return nil, 0, err
		}
		defer func() { err = errors.Join(err, e.Close()) }()
		e.Alone = alone
		results, err = e.Evaluate(ctx, architectures)
		if !alone {
			r.Distinct = e.Known()
		}
		return results, time.Since(began).Seconds(), err
	}
	results, seconds, err := run(architectures, false)
	if err != nil {
		return nil, err
	}
	r.Seconds, r.Rate = seconds, float64(o.Architectures)/seconds
	if o.Alone > 0 {
		alone, seconds, err := run(architectures[:o.Alone], true)
		if err != nil {
			return nil, err
		}
		r.AloneRate = float64(o.Alone) / seconds
		r.Ratio = r.Rate / r.AloneRate
		for i, want := range alone {
			for name, v := range want.Metrics {
				if results[i].OK() && v != 0 {
					r.Difference = max(r.Difference, math.Abs(results[i].Metrics[name]-v)/math.Abs(v))
				}
			}
		}
	}
	r.PeakRSS = peakRSS()
	return r, nil
}

// randomImages returns square images of random pixels and labels.
func randomImages(rng *rand.Rand, count, size int) *dataset.Images {
	im := &dataset.Images{Count: count, Channels: 3, Height: size, Width: size}
	im.Pixels, im.Labels = make([]uint8, im.Count*im.Values()), make([]int64, im.Count)
	for i := range im.Pixels {
		im.Pixels[i] = uint8(rng.UintN(256))
	}
	for i := range im.Labels {
		im.Labels[i] = int64(rng.IntN(classes))
	}
	return im
}
