// Package jpeg reads JPEG pictures as red, green and blue, whole or a part of them, at their own size or reduced by 2, 4 or 8 within
// the inverse transform, where most of the work of reading then falls away.
//
// It reads what cameras, scanners and programs write with the Huffman code: sequential and progressive pictures of 8 bits, any
// sampling of the components, gray, YCbCr, RGB, CMYK and YCCK, with Adobe's marker and without. Arithmetic coding, lossless pictures
// and 12 bits are refused with an *UnsupportedError. A file that ends before its last pixel is an error, one that lacks only the
// end marker is not.
//
// Its nouns: a block is 8x8 coefficients of one component; an MCU holds the blocks of all components for one part of the
// picture; a scan is a run through all MCUs. Data flows file -> markers -> scan -> blocks -> inverse transform -> a plane of samples
// for each component -> red, green and blue. The format is that of ITU-T T.81; colors follow JFIF 1.02 and, for four components,
// Adobe's technical note 5116. All arithmetic is in whole numbers, so a picture has the same pixels on every machine.
package jpeg
