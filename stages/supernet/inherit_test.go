package supernet_test

import (
	"testing"

	"github.com/plateau-nas/plateau/exporter/onnx"
	"github.com/plateau-nas/plateau/exporter/torchtest"
	"github.com/plateau-nas/plateau/runtime"
	"github.com/plateau-nas/plateau/runtime/runtimetest"
	"github.com/plateau-nas/plateau/stages/space"
	"github.com/plateau-nas/plateau/stages/supernet"
)

// A network with inherited weights and the statistics of a batch gives on that batch what the supernet gives. The unbiased variance
// is larger by n/(n-1), which is little for the many pixels of a batch.
func TestInheritedWeightsComputeWhatTheSupernetComputes(t *testing.T) {
	s := space.NASBench201()
	sn, err := supernet.New(s, small)
	if err != nil {
		t.Fatal(err)
	}
	shared := torchtest.Fill(sn.Index)
	a := space.Architecture{3, 2, 4, 1, 0, 3}
	net := supernet.Network{Space: s.Name, Architecture: s.Format(a), Macro: small}
	weights, err := sn.Inherit(net, shared)
	if err != nil {
		t.Fatal(err)
	}
	const batch = 32
	in := map[string]runtime.Tensor{
		"images": vector(torchtest.Noise(2, batch*3*8*8), batch, 3, 8, 8), "params": vector(weights, int64(len(weights))),
	}
	rt := runtimetest.Open(t)
	statistics := session(t, rt, func() (*onnx.ModelProto, error) { return net.Statistics(batch) })(in)
	stand := session(t, rt, func() (*onnx.ModelProto, error) {
		return net.Inference(weights, statistics[supernet.BatchStatistics].Data.([]float32))
	})(map[string]runtime.Tensor{"images": in["images"]})
	whole := session(t, rt, func() (*onnx.ModelProto, error) { return sn.Discrete(batch, a, shared) })(map[string]runtime.Tensor{"images": in["images"]})
	closeTo(t, "logits", stand["logits"].Data.([]float32), whole["logits"].Data.([]float32), 0.05)
}
