// Package runtime finds, loads and drives ONNX Runtime.
//
// Its nouns: a Runtime is the loaded shared library with one execution provider and a number of threads; a
// Session runs any ONNX model, with shapes given at each call; a Step runs one fixed-shape graph again and
// again in buffers that it owns, without allocating; a State is a flat float32 vector that steps read and
// replace, double-buffered, so that parameters and optimizer state never pass through the caller.
//
// Data moves like this: Open finds the library (a setting, the system's folders, the user's cache, else npm),
// loads it once a process and settles on a provider. NewSession and NewStep hand it a model; the caller writes
// inputs into Go slices, calls Run and reads outputs from Go slices. The slices are pinned, so ONNX Runtime reads
// and writes them in place.
//
// Results depend on the library, the provider and the number of threads, and on nothing else: denormal numbers are
// taken for zero in whatever thread a run happens, operators run one after the other, and nothing is chosen by timing.
//
// The package knows nothing of searches, stages or how models are built. It is the only importer of the Go
// binding of ONNX Runtime.
package runtime
