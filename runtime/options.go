package runtime

import (
	"fmt"
	"maps"
	"slices"

	ort "github.com/yalue/onnxruntime_go"
)

// SessionOptions says how one model is loaded. The zero value uses the runtime's threads and optimization.
type SessionOptions struct {
	// Name stands for the model in messages, such as "train_step"; empty says "model" or the file's name.
	Name string
	// Threads is the number of threads that one operator may use; 0 takes the runtime's.
	Threads int
	// Optimization is as in Settings; empty takes the runtime's.
	Optimization string
	// Outputs names the outputs to compute, in the order wanted. Nil means all of the model's. Steps compute all.
	Outputs []string
	// Folder is where the model's external data files lie, for a model that is handed over as bytes.
	Folder string
	// Profile, when set, is the prefix of a file in which ONNX Runtime records how long each operator took, as
	// PREFIX_DATE.json, written when the session is closed.
	Profile string
	// Optimized, when set, is a path to which the graph is written as it is after its rewriting.
	Optimized string
	// NoArena gives memory back after each run instead of keeping it for the next.
	NoArena bool
	// NoMemoryPattern does not plan the memory of a run ahead from the shapes of the last one. Steps never do.
	NoMemoryPattern bool
	// Config holds further session configuration entries of ONNX Runtime by their documented keys, such as
	// "session.intra_op.allow_spinning".
	Config map[string]string
}

// entries are the configuration entries that every session gets unless Config says otherwise.
func entries() map[string]string {
	return map[string]string{
		// Denormals are zero in the pool's threads; flushzero does the same in the calling one.
		"session.set_denormal_as_zero": "1",
		// Idle workers otherwise spin for a while after each run and take the cores from the goroutines that
		// prepare the next batch.
		"session.force_spinning_stop": "1",
	}
}

// build returns the binding's form of the options for a model that gains from the blocked layout or does not. The caller destroys it
// once the session exists.
func (o SessionOptions) build(r *Runtime, blocked bool) (*ort.SessionOptions, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	if err := o.fill(options, r, blocked); err != nil {
		_ = options.Destroy()
		return nil, err
	}
	return options, nil
}

func (o SessionOptions) fill(options *ort.SessionOptions, r *Runtime, blocked bool) error {
	threads, optimization := o.Threads, o.Optimization
	if threads < 0 {
		return fmt.Errorf("threads is %d; use 0 for the runtime's or a positive number", threads)
	}
	if threads == 0 {
		threads = r.threads
	}
	if optimization == "" {
		optimization = r.optimization
	}
	if optimization == "all" && !blocked {
		optimization = "extended"
	}
	level, err := optimizationLevel(optimization)
	if err != nil {
		return err
	}
	config := entries()
	if o.Folder != "" {
		config["session.model_external_initializers_file_folder_path"] = o.Folder
	}
	maps.Copy(config, o.Config)
	steps := []func() error{
		func() error { return options.SetIntraOpNumThreads(threads) },
		// Operators run one after the other: running branches side by side gains nothing where each operator
		// already uses every core, and would let the order of memory use vary.
		func() error { return options.SetExecutionMode(ort.ExecutionModeSequential) },
		func() error { return options.SetInterOpNumThreads(1) },
		func() error { return options.SetGraphOptimizationLevel(level) },
		func() error { return options.SetLogSeverityLevel(ort.LoggingLevelFatal) },
		func() error { return options.SetCpuMemArena(!o.NoArena) },
		func() error { return options.SetMemPattern(!o.NoMemoryPattern) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(config)) {
		if err := options.AddSessionConfigEntry(key, config[key]); err != nil {
			return fmt.Errorf("session option %s=%s: %w", key, config[key], err)
		}
	}
	if o.Profile != "" {
		if err := options.EnableProfiling(o.Profile); err != nil {
			return fmt.Errorf("profile to %s: %w", o.Profile, err)
		}
	}
	if o.Optimized != "" {
		if err := options.SetOptimizedModelFilePath(o.Optimized); err != nil {
			return fmt.Errorf("write the optimized graph to %s: %w", o.Optimized, err)
		}
	}
	return appendProvider(options, r.provider)
}

func optimizationLevel(name string) (ort.GraphOptimizationLevel, error) {
	switch name {
	case "all":
		return ort.GraphOptimizationLevelEnableAll, nil
	case "extended":
		return ort.GraphOptimizationLevelEnableExtended, nil
	case "basic":
		return ort.GraphOptimizationLevelEnableBasic, nil
	case "off":
		return ort.GraphOptimizationLevelDisableAll, nil
	}
	return 0, fmt.Errorf("unknown graph optimization %q; use one of %v", name, Optimizations())
}
