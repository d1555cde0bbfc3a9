package jpeg

// refine reads what a scan of a progressive picture says of a block (T.81, annex G).
func (s *scanning) refine(c *component, b *[64]int16) error {
	switch {
	case s.start == 0 && s.high == 0:
		size := s.next(c.codeDC)
		if size < 0 || size > 16 {
			return errCode
		}
		c.dc += s.extended(size)
		b[0] = int16(c.dc << s.low)
		return nil
	case s.start == 0:
		b[0] |= int16(s.bit() << s.low)
		return nil
	case s.high == 0:
		return s.first(c.codeAC, b)
	}
	return s.correct(c.codeAC, b)
}

// first reads the first bits of a band of coefficients (T.81, G.1.2.2).
func (s *scanning) first(codes *huffman, b *[64]int16) error {
	if s.bands > 0 {
		s.bands--
		return nil
	}
	for k := s.start; k <= s.end; k++ {
		symbol := s.next(codes)
		if symbol < 0 {
			return errCode
		}
		run, size := symbol>>4, symbol&15
		if size == 0 {
			if run < 15 {
				s.bands = 1<<uint(run) - 1 + s.bits(run)
				return nil
			}
			k += 15
			continue
		}
		k += run
		if k > s.end {
			return errCode
		}
		b[zigzag[k&63]] = int16(s.extended(size) << s.low)
	}
	return nil
}

// correct reads the next bit of a band of coefficients (T.81, G.1.2.3).
func (s *scanning) correct(codes *huffman, b *[64]int16) error {
	k := s.start
	for s.bands == 0 && k <= s.end {
		symbol := s.next(codes)
		if symbol < 0 {
			return errCode
		}
		run, size := symbol>>4, symbol&15
		var v int16
		switch {
		case size == 1:
			v = -1 << s.low
			if s.bit() == 1 {
				v = 1 << s.low
			}
		case size > 1:
			return errCode
		case run < 15:
			s.bands = 1<<uint(run) + s.bits(run)
		}
		if s.bands > 0 {
			break
		}
		// The coefficients that are not 0 get a bit each; run others are passed by, and the next one is v.
		for ; k <= s.end; k++ {
			at := &b[zigzag[k&63]]
			if *at != 0 {
				s.correctOne(at)
				continue
			}
			if run == 0 {
				*at = v
				k++
				break
			}
			run--
		}
		if s.n < 0 {
			return nil // the caller says that the data have ended
		}
	}
	if s.bands > 0 {
		s.bands--
		for ; k <= s.end; k++ {
			if at := &b[zigzag[k&63]]; *at != 0 {
				s.correctOne(at)
			}
		}
	}
	return nil
}

// correctOne reads the next bit of a coefficient that is not 0.
func (s *scanning) correctOne(at *int16) {
	if s.bit() == 0 {
		return
	}
	if *at > 0 {
		*at += 1 << s.low
	} else {
		*at -= 1 << s.low
	}
}

// reconstruct transforms the blocks of a component of a progressive picture.
func (d *Decoder) reconstruct(c *component) {
	q := &d.quantizers[c.quantizer]
	var b block
	for y := c.blocks.Min.Y; y < c.blocks.Max.Y; y++ {
		for x := c.blocks.Min.X; x < c.blocks.Max.X; x++ {
			from := (*[64]int16)(c.coefficients[64*(y*c.stride+x):])
			plain := true
			for k := range c.need + 1 {
				at := zigzag[k&63]
				b[at] = int32(from[at]) * q[k&63]
				plain = plain && (k == 0 || from[at] == 0)
			}
			to, stride := c.place(x, y)
			if plain {
				flat(b[0], c.nx, c.ny, to, stride)
			} else {
				transform(&b, c.nx, c.ny, to, stride)
			}
		}
	}
}
