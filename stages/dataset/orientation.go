package dataset

import (
	"bytes"

	"github.com/bep/imagemeta"
)

// orientation is how a picture is stored, as in EXIF: 1 is upright, 3 upside down, 6 lies on its left side and 8 on its right one;
// 2, 4, 5 and 7 are mirrored as well.
type orientation int

const upright orientation = 1

// orientationOf returns what the camera has noted in the file of a picture. Where it has noted nothing, or nothing that can be
// read, the picture is upright: it can be looked at all the same.
func orientationOf(content []byte) orientation {
	const tag = "Orientation"
	of, _ := formatOf(content)
	format, ok := map[string]imagemeta.ImageFormat{"JPEG": imagemeta.JPEG, "PNG": imagemeta.PNG, "WebP": imagemeta.WebP, "TIFF": imagemeta.TIFF}[of.name]
	if !ok {
		return upright
	}
	found := upright
	_, err := imagemeta.Decode(imagemeta.Options{
		R:               bytes.NewReader(content),
		ImageFormat:     format,
		Sources:         imagemeta.EXIF,
		ShouldHandleTag: func(t imagemeta.TagInfo) bool { return t.Tag == tag && t.Namespace == "IFD0" },
		HandleTag: func(t imagemeta.TagInfo) error {
			if v, ok := t.Value.(uint16); ok && v >= 1 && v <= 8 {
				found = orientation(v)
			}
			return imagemeta.ErrStopWalking
		},
	})
	if err != nil {
		return upright
	}
	return found
}

// turn returns square images as they are meant to be looked at.
func (o orientation) turn(im *Images) *Images {
	if o == upright {
		return im
	}
	n := im.Width
	out := newImages(im.Count, im.Channels, n, n)
	copy(out.Labels, im.Labels)
	for plane := range im.Count * im.Channels {
		from, to := im.Pixels[plane*n*n:][:n*n], out.Pixels[plane*n*n:][:n*n]
		for y := range n {
			for x := range n {
				// Where the pixel at x, y is stored: first what is swapped, then what is mirrored.
				u, v := x, y
				if o >= 5 {
					u, v = y, x
				}
				if o == 2 || o == 3 || o == 7 || o == 8 {
					u = n - 1 - u
				}
				if o == 3 || o == 4 || o == 6 || o == 7 {
					v = n - 1 - v
				}
				to[y*n+x] = from[v*n+u]
			}
		}
	}
	return out
}
