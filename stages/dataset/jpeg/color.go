package jpeg

import "image"

// model is what the components of a picture mean.
type model int

const (
	gray model = iota
	rgb
	ycc
	cmyk // 255 less the amount of ink
	ycck // the same with the first three as YCC
)

// model returns what the components mean, as libjpeg guesses it: by JFIF's marker, then Adobe's, then the components' names. Four
// components are as Adobe's programs write them also without the marker, which some programs forget.
func (d *Decoder) model() model {
	switch len(d.components) {
	case 1:
		return gray
	case 4:
		if d.adobe && d.transform != 0 {
			return ycck
		}
		return cmyk
	}
	named := d.components[0].id == 'R' && d.components[1].id == 'G' && d.components[2].id == 'B'
	switch {
	case d.jfif:
		return ycc
	case d.adobe && d.transform == 0, !d.adobe && named:
		return rgb
	}
	return ycc
}

// picture makes red, green and blue out of the planes of the components.
func (d *Decoder) picture() *Picture {
	part := d.part()
	width, height := part.Dx(), part.Dy()
	plane := width * height
	d.pix = reuse(d.pix, 3*plane)
	var lines [4]line
	for i := range d.components {
		lines[i] = d.line(&d.components[i], part)
	}
	m := d.model()
	var rows [4][]uint8
	for y := range height {
		for i := range d.components {
			rows[i] = lines[i].at(part.Min.Y + y)
		}
		to := d.pix[y*width:]
		convert(m, rows, to[:width], to[plane:][:width], to[2*plane:][:width])
	}
	r := d.options.Reduce
	return &Picture{Bounds: part, Full: image.Pt(ceil(d.width, r), ceil(d.height, r)), Pix: d.pix}
}

// convert makes a line of red, green and blue out of one of components.
func convert(m model, rows [4][]uint8, red, green, blue []uint8) {
	switch m {
	case gray:
		copy(red, rows[0])
		copy(green, rows[0])
		copy(blue, rows[0])
	case rgb:
		copy(red, rows[0])
		copy(green, rows[1])
		copy(blue, rows[2])
	case ycc:
		convertYCC(rows[0], rows[1], rows[2], red, green, blue)
	case cmyk:
		for i := range red {
			k := rows[3][i]
			red[i], green[i], blue[i] = under(rows[0][i], k), under(rows[1][i], k), under(rows[2][i], k)
		}
	case ycck:
		convertYCC(rows[0], rows[1], rows[2], red, green, blue)
		for i := range red {
			k := rows[3][i]
			red[i], green[i], blue[i] = under(255-red[i], k), under(255-green[i], k), under(255-blue[i], k)
		}
	}
}

// under is what paper of brightness a shows under black ink that lets through k of 255.
func under(a, k uint8) uint8 { return uint8((uint32(a)*uint32(k) + 127) / 255) }

// convertYCC makes red, green and blue out of luma and chroma (JFIF 1.02), with 16 binary places.
func convertYCC(luma, cb, cr, red, green, blue []uint8) {
	const half = 1 << 15
	n := len(red)
	luma, cb, cr, green, blue = luma[:n], cb[:n], cr[:n], green[:n], blue[:n]
	for i := range n {
		y, b, r := int32(luma[i])<<16+half, int32(cb[i])-128, int32(cr[i])-128
		red[i] = within((y + 91881*r) >> 16)
		green[i] = within((y - 22554*b - 46802*r) >> 16)
		blue[i] = within((y + 116130*b) >> 16)
	}
}

func within(v int32) uint8 {
	if uint32(v) > 255 {
		v = ^(v >> 31)
	}
	return uint8(v)
}
