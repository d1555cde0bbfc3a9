// Package dataset gives every other stage its images: it makes them or reads them, divides them into splits,
// and hands them out in batches.
//
// Its nouns: Images is a set of equally large labeled pictures; a Dataset is three of them (training, validation
// and test split) with class names and the statistics that normalize a pixel; a Loader turns Images into
// shuffled, augmented, normalized batches, epoch after epoch. Settings is the stage kind "dataset": it makes
// a Dataset from a source ("shapes" are drawn, "cifar10", "cifar100" and "idx" are read, "folder" is images of one's
// own) and writes it to one file.
//
// Data flows source -> Images -> limit, downscale, split -> Dataset -> Save, Load -> Loader -> Batch. Everything
// random comes from one seed, so equal settings, seed and source files give equal bytes, however many
// goroutines share the work.
package dataset
