package jpeg

// The inverse cosine transform in whole numbers, after Loeffler, Ligtenberg and Moschytz (ICASSP 1989). Each pass is too large by the
// square root of 8, which two passes make a shift by 3.
//
// Reduced, a block becomes the means of its samples over 2, 4 or 8 in each direction, so a reduced picture is the picture reduced by
// area. The mean of the samples 2x and 2x+1 of T.81's equation A.3.3 is a sum over cos((4x+1)u pi/16) + cos((4x+3)u pi/16), halved, which is
// cos(u pi/16) cos((2x+1)u pi/8): the transform of 4 points, of coefficients that are multiplied by cos(u pi/16). Those from 5 on
// fall on those from 3 down with the sign changed, and that of u = 4 has no effect. The same step again gives the means over 4.

// fixed is how many binary places the constants have, passBits how many places are kept between the passes.
const (
	fixed    = 13
	passBits = 2
)

// Constants of the transform, times 2^fixed.
const (
	c0298 = 2446
	c0390 = 3196
	c0541 = 4433
	c0765 = 6270
	c0899 = 7373
	c1175 = 9633
	c1306 = 10703
	c1501 = 12299
	c1847 = 15137
	c1961 = 16069
	c2053 = 16819
	c2562 = 20995
	c3072 = 25172

	// cos(u pi/16)
	cos1, cos2, cos3, cos5, cos6, cos7 = 8035, 7568, 6811, 4551, 3135, 1598
	// cos(u pi/16) cos(u pi/8), for u of 1, 3, 5 and 7
	mean1, mean3, mean5, mean7 = 7423, 2607, 1742, 1477
)

// block holds the coefficients of 8x8 samples, row by row, multiplied by their quantizers.
type block [64]int32

// inverse8 transforms 8 values into 8, times 2^fixed.
func inverse8(f0, f1, f2, f3, f4, f5, f6, f7 int32) (o0, o1, o2, o3, o4, o5, o6, o7 int32) {
	z := (f2 + f6) * c0541
	e2, e3 := z-f6*c1847, z+f2*c0765
	e0, e1 := (f0+f4)<<fixed, (f0-f4)<<fixed
	a0, a3, a1, a2 := e0+e3, e0-e3, e1+e2, e1-e2

	z1, z2, z3, z4 := (f7+f1)*-c0899, (f5+f3)*-c2562, f7+f3, f5+f1
	z5 := (z3 + z4) * c1175
	z3, z4 = z5-z3*c1961, z5-z4*c0390
	b0 := f7*c0298 + z1 + z3
	b1 := f5*c2053 + z2 + z4
	b2 := f3*c3072 + z2 + z3
	b3 := f1*c1501 + z1 + z4
	return a0 + b3, a1 + b2, a2 + b1, a3 + b0, a3 - b0, a2 - b1, a1 - b2, a0 - b3
}

// means4 transforms 8 values, of which the one with number 4 has no effect, into the means of 2 samples each, times 2^fixed.
func means4(f0, f1, f2, f3, f5, f6, f7 int32) (o0, o1, o2, o3 int32) {
	const round, shift = 1 << (fixed - guard - 1), fixed - guard
	g1, g2, g3 := (f1*cos1-f7*cos7+round)>>shift, (f2*cos2-f6*cos6+round)>>shift, (f3*cos3-f5*cos5+round)>>shift
	a0, a1 := f0<<fixed+g2<<(fixed-guard), f0<<fixed-g2<<(fixed-guard)
	b0, b1 := (g1*c1306+g3*c0541)>>guard, (g1*c0541-g3*c1306)>>guard
	return a0 + b0, a1 + b1, a1 - b1, a0 - b0
}

// guard is how many binary places are kept between the two steps of means4.
const guard = 3

// means2 transforms 8 values, of which the even ones but the first have no effect, into the means of 4 samples each, times 2^fixed.
func means2(f0, f1, f3, f5, f7 int32) (o0, o1 int32) {
	a, b := f0<<fixed, f1*mean1-f3*mean3+f5*mean5-f7*mean7
	return a + b, a - b
}

// uses tells whether a transform of 8 coefficients to n points uses the one with number u.
func uses(n, u int) bool {
	switch n {
	case 1:
		return u == 0
	case 2:
		return u == 0 || u%2 == 1
	case 4:
		return u != 4
	}
	return true
}

// transform writes the samples of a block, reduced to nx x ny, to the lines of to, which begin stride bytes apart.
func transform(b *block, nx, ny int, to []uint8, stride int) {
	if nx == 8 && ny == 8 {
		transform8(b, to, stride)
		return
	}
	var mid [64]int32 // ny rows of the coefficients of a row, times 2^passBits
	const round, shift = 1 << (fixed - passBits - 1), fixed - passBits
	for x := range 8 {
		if !uses(nx, x) {
			continue
		}
		switch ny {
		case 1:
			mid[x] = b[x] << passBits
		case 2:
			o0, o1 := means2(b[x], b[8+x], b[24+x], b[40+x], b[56+x])
			mid[x], mid[8+x] = (o0+round)>>shift, (o1+round)>>shift
		case 4:
			if b[8+x]|b[16+x]|b[24+x]|b[40+x]|b[48+x]|b[56+x] == 0 {
				v := b[x] << passBits
				mid[x], mid[8+x], mid[16+x], mid[24+x] = v, v, v, v
				continue
			}
			o0, o1, o2, o3 := means4(b[x], b[8+x], b[16+x], b[24+x], b[40+x], b[48+x], b[56+x])
			mid[x], mid[8+x], mid[16+x], mid[24+x] = (o0+round)>>shift, (o1+round)>>shift, (o2+round)>>shift, (o3+round)>>shift
		default:
			column8(b, &mid, x)
		}
	}
	const down = fixed + passBits + 3
	for y := range ny {
		m, line := mid[8*y:8*y+8:8*y+8], to[y*stride:]
		switch nx {
		case 1:
			line[0] = level(m[0], passBits+3)
		case 2:
			_ = line[1]
			o0, o1 := means2(m[0], m[1], m[3], m[5], m[7])
			line[0], line[1] = level(o0, down), level(o1, down)
		case 4:
			_ = line[3]
			o0, o1, o2, o3 := means4(m[0], m[1], m[2], m[3], m[5], m[6], m[7])
			line[0], line[1], line[2], line[3] = level(o0, down), level(o1, down), level(o2, down), level(o3, down)
		default:
			row8(m, line)
		}
	}
}

// transform8 is transform without reduction.
func transform8(b *block, to []uint8, stride int) {
	var mid [64]int32
	for x := range 8 {
		column8(b, &mid, x)
	}
	for y := range 8 {
		row8(mid[8*y:8*y+8:8*y+8], to[y*stride:])
	}
}

func column8(b *block, mid *[64]int32, x int) {
	const round, shift = 1 << (fixed - passBits - 1), fixed - passBits
	if b[8+x]|b[16+x]|b[24+x]|b[32+x]|b[40+x]|b[48+x]|b[56+x] == 0 {
		v := b[x] << passBits
		mid[x], mid[8+x], mid[16+x], mid[24+x], mid[32+x], mid[40+x], mid[48+x], mid[56+x] = v, v, v, v, v, v, v, v
		return
	}
	o0, o1, o2, o3, o4, o5, o6, o7 := inverse8(b[x], b[8+x], b[16+x], b[24+x], b[32+x], b[40+x], b[48+x], b[56+x])
	mid[x], mid[8+x], mid[16+x], mid[24+x] = (o0+round)>>shift, (o1+round)>>shift, (o2+round)>>shift, (o3+round)>>shift
	mid[32+x], mid[40+x], mid[48+x], mid[56+x] = (o4+round)>>shift, (o5+round)>>shift, (o6+round)>>shift, (o7+round)>>shift
}

func row8(m []int32, line []uint8) {
	const shift = fixed + passBits + 3
	_, _ = m[7], line[7]
	o0, o1, o2, o3, o4, o5, o6, o7 := inverse8(m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7])
	line[0], line[1], line[2], line[3] = level(o0, shift), level(o1, shift), level(o2, shift), level(o3, shift)
	line[4], line[5], line[6], line[7] = level(o4, shift), level(o5, shift), level(o6, shift), level(o7, shift)
}

// flat writes the nx x ny samples of a block that has no coefficient but the first.
func flat(dc int32, nx, ny int, to []uint8, stride int) {
	v := level(dc, 3)
	for y := range ny {
		line := to[y*stride:][:nx]
		for x := range line {
			line[x] = v
		}
	}
}

// level returns a sample: v / 2^shift, rounded, raised by 128 (T.81, A.3.1) and kept within 0 to 255.
func level(v int32, shift uint) uint8 {
	v = (v+1<<(shift-1))>>shift + 128
	if uint32(v) > 255 {
		v = ^(v >> 31) // 0 below, all ones above
	}
	return uint8(v)
}
