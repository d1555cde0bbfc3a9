// Package evaluate measures image classifiers: accuracy, loss, size, cost and speed of any ONNX model, not only of our
// own, by running the file itself in a plain ONNX Runtime session.
//
// Its nouns: an Input says what numbers a model takes for a picture (raw pixels, pixels scaled to 0..1, normalized
// ones), Scores what it gives back (logits or probabilities); Options are everything that can be said about a
// measurement; the result is a result.Metrics. Models that plateau has exported say in their metadata, under the Key
// constants, what they take and give; for others the options say it.
//
// Settings is the stage kind "evaluate", which measures a model on a split of a data set.
package evaluate
