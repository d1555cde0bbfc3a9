package jpeg

import "bytes"

// scanning is the state of one scan.
type scanning struct {
	bitReader
	decoder    *Decoder
	components []*component
	start, end int // the coefficients of the scan, in zigzag order
	high, low  uint
	bands      int32 // blocks still to come that end here (T.81, G.1.2.2)
}

// scan reads a scan: its header s (T.81, B.2.3) and the coded data behind it.
func (d *Decoder) scan(s []byte) error {
	if len(s) < 1 || len(s) < 4+2*int(s[0]) || s[0] < 1 || s[0] > 4 {
		return malformed("the header of a scan is cut off")
	}
	count := int(s[0])
	if d.components[0].stride == 0 {
		d.layOut()
	}
	sc := &scanning{decoder: d}
	for i := range count {
		id, tables := s[1+2*i], s[2+2*i]
		var c *component
		for k := range d.components {
			if d.components[k].id == id && !slicesContain(sc.components, &d.components[k]) {
				c = &d.components[k]
				break
			}
		}
		if c == nil || tables>>4 > 3 || tables&15 > 3 {
			return malformed("a scan of a component or table that is not there")
		}
		c.codeDC, c.codeAC, c.dc = &d.codes[0][tables>>4], &d.codes[1][tables&15], 0
		sc.components = append(sc.components, c)
	}
	last := s[1+2*count:]
	sc.start, sc.end, sc.high, sc.low = int(last[0]), int(last[1]), uint(last[2]>>4), uint(last[2]&15)
	if !d.progressive {
		sc.start, sc.end, sc.high, sc.low = 0, 63, 0, 0
	}
	if sc.start > sc.end || sc.end > 63 || sc.low > 13 || d.progressive && (sc.start == 0) != (sc.end == 0) || sc.start > 0 && count > 1 {
		return malformed("a scan of the coefficients %d to %d of %d components", sc.start, sc.end, count)
	}
	for _, c := range sc.components {
		if !d.quantized[c.quantizer] {
			return malformed("a table of quantizers is missing")
		}
		if sc.start == 0 && sc.high == 0 && !c.codeDC.there || sc.end > 0 && !c.codeAC.there {
			return malformed("a table of codes is missing")
		}
	}
	for _, c := range sc.components {
		for k := sc.start; k <= sc.end; k++ {
			c.left[k] = uint8(sc.low) + 1
		}
	}
	// Later scans may correct the coefficients of this one together with others, so none is left out unless all are.
	if d.thrifty && sc.start > 0 && sc.components[0].need == 0 {
		return d.pass()
	}
	sc.data, sc.at = d.content, d.at
	err := sc.run()
	d.at = sc.at
	if err != nil {
		return err
	}
	for _, c := range sc.components {
		c.read = c.read || sc.start == 0
	}
	return nil
}

// pass moves behind the data of a scan.
func (d *Decoder) pass() error {
	for {
		i := bytes.IndexByte(d.content[d.at:], 0xFF)
		if i < 0 || d.at+i+1 >= len(d.content) {
			d.at, d.skipped = len(d.content), true
			return nil
		}
		d.at += i
		if c := d.content[d.at+1]; c != 0 && c != 0xFF && (c < markRST0 || c > markRST7) {
			return nil
		}
		d.at++
	}
}

// run reads the blocks of the scan: MCU by MCU, or block by block of a single component.
func (s *scanning) run() error {
	d := s.decoder
	wide, high := ceil(d.width, 8*d.hMax), ceil(d.height, 8*d.vMax)
	single := len(s.components) == 1
	if single {
		wide, high = s.components[0].wide, s.components[0].high
	}
	var b block
	for m := range wide * high {
		if d.restart > 0 && m > 0 && m%d.restart == 0 {
			if err := s.resume(); err != nil {
				return err
			}
		}
		mx, my := m%wide, m/wide
		for _, c := range s.components {
			if single {
				if err := s.block(c, mx, my, &b); err != nil {
					return err
				}
				continue
			}
			for v := range c.v {
				for h := range c.h {
					if err := s.block(c, mx*c.h+h, my*c.v+v, &b); err != nil {
						return err
					}
				}
			}
		}
		if s.n < 0 { // zeros behind the data were taken for data
			if s.at+1 >= len(s.data) {
				return errShort
			}
			return malformed("the data of a scan end before its last block")
		}
	}
	return nil
}

// resume goes on behind a restart marker.
func (s *scanning) resume() error {
	for ; s.at+1 < len(s.data); s.at++ {
		c := s.data[s.at+1]
		if s.data[s.at] != 0xFF || c == 0 || c == 0xFF {
			continue
		}
		if c < markRST0 || c > markRST7 {
			return malformed("a restart marker is missing")
		}
		s.bitReader = bitReader{data: s.data, at: s.at + 2}
		s.bands = 0
		for _, c := range s.components {
			c.dc = 0
		}
		return nil
	}
	return errShort
}

// block reads one block: that of a sequential picture is transformed at once, those of a progressive one are gathered.
func (s *scanning) block(c *component, x, y int, b *block) error {
	if s.decoder.progressive {
		at := 64 * (y*c.stride + x)
		return s.refine(c, (*[64]int16)(c.coefficients[at:at+64]))
	}
	inside := x >= c.blocks.Min.X && x < c.blocks.Max.X && y >= c.blocks.Min.Y && y < c.blocks.Max.Y
	need := 0
	if inside {
		need = c.need
		if need > 0 {
			*b = block{}
		}
	}
	q := &s.decoder.quantizers[c.quantizer]
	plain, err := s.sequential(c, q, need, b)
	if err != nil || !inside {
		return err
	}
	to, stride := c.place(x, y)
	if plain {
		flat(b[0], c.nx, c.ny, to, stride)
	} else {
		transform(b, c.nx, c.ny, to, stride)
	}
	return nil
}

// place returns where in the plane the block's samples go, and how long its lines are.
func (c *component) place(x, y int) (to []uint8, stride int) {
	stride = c.blocks.Dx() * c.nx
	return c.plane[(y-c.blocks.Min.Y)*c.ny*stride+(x-c.blocks.Min.X)*c.nx:], stride
}

// sequential reads a block of a sequential picture (T.81, F.2.2). Of its coefficients, those up to need in zigzag order are put into b, times
// their quantizers. plain says that all of these but the first are 0.
func (s *scanning) sequential(c *component, q *[64]int32, need int, b *block) (plain bool, err error) {
	size := s.next(c.codeDC)
	if size < 0 || size > 16 {
		return false, errCode
	}
	c.dc += s.extended(size)
	b[0] = c.dc * q[0]
	plain = true
	codes := c.codeAC
	acc, n := s.acc, s.n // in registers, as this loop takes most of the time
	for k := 1; k < 64; k++ {
		if n < 32 {
			s.acc, s.n = acc, n
			s.fill()
			acc, n = s.acc, s.n
		}
		if e := codes.whole[acc>>(64-lookBits)]; e != 0 {
			acc <<= uint(e) & 63
			n -= int(e & 255)
			run := int(e >> 8 & 255)
			k += run
			if k > 63 {
				if run == endRun {
					break
				}
				return false, errCode
			}
			if k <= need {
				b[zigzag[k&63]&63] = (e >> 16) * q[k&63]
				plain = false
			}
			continue
		}
		s.acc, s.n = acc, n
		symbol := s.next(codes)
		if symbol < 0 {
			return false, errCode
		}
		run, size := symbol>>4, symbol&15
		if size == 0 {
			acc, n = s.acc, s.n
			if run < 15 {
				break // T.81: only run 0 ends a block here
			}
			k += 15
			continue
		}
		k += run
		if k > 63 {
			return false, errCode
		}
		v := s.extended(size)
		acc, n = s.acc, s.n
		if k <= need {
			b[zigzag[k&63]&63] = v * q[k&63]
			plain = false
		}
	}
	s.acc, s.n = acc, n
	return plain, nil
}

func slicesContain(list []*component, c *component) bool {
	for _, other := range list {
		if other == c {
			return true
		}
	}
	return false
}

var errCode = malformed("the data have a code that is in no table, or too many coefficients for a block")
