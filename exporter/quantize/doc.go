// Package quantize writes trained models in fewer bits: eight-bit whole numbers (Int8) or float16 (Float16). Other than the passes
// of rewrite, these change what a model computes, by a little.
//
// Its nouns: a product is a convolution, or a product with a matrix, whose weights are constants; what is inside is the products and
// all that lies between two of them, and that alone is written in fewer bits; a Range is what the numbers of a value lie in, and a Linear
// how they are written as whole ones; an Observer finds the range of a value from numbers that it is shown, which a run of Observe's copy
// of the model gives. The passes edit a model in place.
package quantize
