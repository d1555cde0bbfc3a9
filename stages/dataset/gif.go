package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/draw"
	"image/gif"
)

// A GIF's first frame lies on a canvas, whose parts beyond it are transparent as in browsers. Some programs write a canvas without a
// size, or one that its frame does not fit on: then it is as large as it has to be.

// The parts of a GIF (GIF89a specification, sections 17 to 20 and 23).
const (
	gifHeader     = 13 // signature and description of the canvas
	gifExtension  = 0x21
	gifImage      = 0x2C
	gifColorTable = 0x80
)

var errGIF = errors.New("the file ends before the first picture")

// sizeOfGIF returns the size of the canvas.
func sizeOfGIF(content []byte) (width, height int, err error) {
	canvas, _, err := gifCanvas(content)
	return canvas.X, canvas.Y, err
}

// gifCanvas returns the size of the canvas and where the first frame lies on it.
func gifCanvas(content []byte) (canvas image.Point, frame image.Rectangle, err error) {
	if len(content) < gifHeader {
		return canvas, frame, errGIF
	}
	word := func(at int) int { return int(binary.LittleEndian.Uint16(content[at:])) }
	canvas = image.Pt(word(6), word(8))
	at := gifHeader
	if flags := content[10]; flags&gifColorTable != 0 {
		at += 3 << (1 + flags&7)
	}
	for {
		if at+10 > len(content) {
			return canvas, frame, errGIF
		}
		switch content[at] {
		case gifExtension:
			at += 2
			for content[at] != 0 {
				if at += 1 + int(content[at]); at >= len(content) {
					return canvas, frame, errGIF
				}
			}
			at++
		case gifImage:
			frame = image.Rect(word(at+1), word(at+3), word(at+1)+word(at+5), word(at+3)+word(at+7))
			return image.Pt(max(canvas.X, frame.Max.X), max(canvas.Y, frame.Max.Y)), frame, nil
		default:
			return canvas, frame, errGIF
		}
	}
}

// decodeGIF returns the canvas with the first frame on it.
func decodeGIF(content []byte) (image.Image, error) {
	canvas, frame, err := gifCanvas(content)
	if err != nil {
		return nil, err
	}
	head := bytes.Clone(content[:gifHeader])
	binary.LittleEndian.PutUint16(head[6:], uint16(min(canvas.X, 1<<16-1)))
	binary.LittleEndian.PutUint16(head[8:], uint16(min(canvas.Y, 1<<16-1)))
	picture, err := gif.Decode(bytes.NewReader(append(head, content[gifHeader:]...)))
	if err != nil {
		return nil, err
	}
	if frame == image.Rect(0, 0, canvas.X, canvas.Y) {
		return picture, nil
	}
	whole := image.NewNRGBA(image.Rect(0, 0, canvas.X, canvas.Y))
	draw.Draw(whole, frame, picture, picture.Bounds().Min, draw.Src)
	return whole, nil
}
