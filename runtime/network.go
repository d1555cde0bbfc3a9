package runtime

import (
	"fmt"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/plateau-nas/plateau/runtime/internal/flushzero"
)

// network is a loaded model: what sessions and steps have in common.
type network struct {
	name     string
	inputs   []IOInfo
	outputs  []IOInfo // those that are computed
	metadata map[string]string
	session  *ort.DynamicAdvancedSession
}

// loadNetwork reads what the model says of itself and has ONNX Runtime prepare it.
func loadNetwork(r *Runtime, model []byte, o SessionOptions) (*network, error) {
	n := &network{name: o.Name}
	if n.name == "" {
		n.name = "model"
	}
	wrap := func(err error) error { return fmt.Errorf("load %s into ONNX Runtime: %w", n.name, err) }
	described, err := describeModel(model)
	if err != nil {
		return nil, wrap(err)
	}
	n.inputs, n.outputs, n.metadata = described.inputs, described.outputs, described.metadata
	if len(n.inputs) == 0 {
		return nil, wrap(fmt.Errorf("it has no inputs"))
	}
	if o.Outputs != nil {
		if n.outputs, err = chooseOutputs(described.outputs, o.Outputs); err != nil {
			return nil, wrap(err)
		}
	}
	if r.adapt != nil {
		if model, err = r.adapt(r.provider, model); err != nil {
			return nil, wrap(err)
		}
	}
	options, err := o.build(r, described.blocked)
	if err != nil {
		return nil, wrap(err)
	}
	defer options.Destroy()
	// The thread that creates the first session of a process has its floating-point mode set for good.
	mode := flushzero.Keep()
	defer flushzero.Leave(mode)
	n.session, err = ort.NewDynamicAdvancedSessionWithONNXData(model, names(n.inputs), names(n.outputs), options)
	if err != nil {
		if r.provider != ProviderCPU {
			process.keepLoaded()
		}
		return nil, wrap(plain(err))
	}
	return n, nil
}

func chooseOutputs(all []IOInfo, wanted []string) ([]IOInfo, error) {
	if len(wanted) == 0 {
		return nil, fmt.Errorf("no output is asked for; it has %s", strings.Join(names(all), ", "))
	}
	chosen := make([]IOInfo, 0, len(wanted))
	for _, name := range wanted {
		info, ok := byName(all, name)
		if !ok {
			return nil, fmt.Errorf("it has no output %q; it has %s", name, strings.Join(names(all), ", "))
		}
		chosen = append(chosen, info)
	}
	return chosen, nil
}

func names(infos []IOInfo) []string {
	list := make([]string, len(infos))
	for i, info := range infos {
		list[i] = info.Name
	}
	return list
}

func byName(infos []IOInfo, name string) (IOInfo, bool) {
	for _, info := range infos {
		if info.Name == name {
			return info, true
		}
	}
	return IOInfo{}, false
}

// run computes the outputs from the inputs, in the order of n.inputs and n.outputs. It is safe to call from several
// goroutines as long as they share no values.
func (n *network) run(inputs, outputs []ort.Value, options *ort.RunOptions) error {
	mode := flushzero.Enter()
	defer flushzero.Leave(mode)
	return plain(n.session.RunWithOptions(inputs, outputs, options))
}
