// Package serve is a page on this machine, and for this machine only, that says what pictures show: one drops a picture, or lets the
// camera look, and sees the probabilities of a classifier's classes. Programs of this machine ask the same by
//
//	POST /predict?top=3    with the bytes of a picture, or a form with a file
//
// and get an Answer as JSON. Nothing is stored, and nothing leaves the machine: the page's policy lets it load from its own server alone.
package serve
