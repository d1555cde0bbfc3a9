package jpeg

import "encoding/binary"

// bitReader reads the entropy-coded part of a scan. It drops the zero that follows every byte 0xFF of data, and stops at markers.
type bitReader struct {
	data []byte
	at   int    // the next byte to take
	acc  uint64 // the next bits, the first of them on top
	n    int    // how many of acc are data
	// ended says that a marker or the end of the file has been reached: zeros follow. Taking one of them makes n negative.
	ended bool
}

// fill makes at least 32 bits ready, data or zeros.
func (b *bitReader) fill() {
	if b.n >= 32 || b.ended {
		return
	}
	if b.at+8 <= len(b.data) {
		w := binary.BigEndian.Uint64(b.data[b.at:])
		if v := ^w; (v-0x0101010101010101)&^v&0x8080808080808080 == 0 { // no byte is 0xFF
			b.acc |= w >> uint(b.n)
			whole := (64 - b.n) / 8
			b.at += whole
			b.n += 8 * whole
			b.acc &^= 1<<uint(64-b.n) - 1
			return
		}
	}
	for b.n <= 56 {
		if b.at >= len(b.data) {
			b.ended = true
			return
		}
		c := b.data[b.at]
		if c == 0xFF {
			if b.at+1 >= len(b.data) || b.data[b.at+1] != 0 {
				b.ended = true
				return
			}
			b.at++
		}
		b.at++
		b.acc |= uint64(c) << uint(56-b.n)
		b.n += 8
	}
}

// skip drops k bits, at most 32, that fill has made ready.
func (b *bitReader) skip(k int) {
	b.acc <<= uint(k)
	b.n -= k
}

// bit returns the next bit.
func (b *bitReader) bit() int32 {
	if b.n < 1 {
		b.fill()
	}
	v := int32(b.acc >> 63)
	b.skip(1)
	return v
}

// bits returns the next k bits, 0 to 16, as a number.
func (b *bitReader) bits(k int) int32 {
	if k == 0 {
		return 0
	}
	if b.n < k {
		b.fill()
	}
	v := int32(b.acc >> uint(64-k))
	b.skip(k)
	return v
}

// extended returns the next k bits as a number with a sign (T.81, F.2.2.1): those that begin with 0 are negative.
func (b *bitReader) extended(k int) int32 {
	if k == 0 {
		return 0
	}
	v := b.bits(k)
	return v + (v-1<<uint(k-1))>>31&(-1<<uint(k)+1)
}

// lookBits is how long a code may be to be found at once.
const lookBits = 10

// endRun is the run of the code that ends a block.
const endRun = 64

// huffman is a table of codes (T.81, annex C).
type huffman struct {
	there bool
	// look has by the next lookBits bits the length of a code, from bit 8 on, and its symbol; 0 for longer codes.
	look [1 << lookBits]uint16
	// whole has by the same bits what follows from a code of AC coefficients and the bits of its value, where all of them are within:
	// the value from bit 16 on, the run of zeros from bit 8 on, how many bits were used below; 0 where they are not.
	whole [1 << lookBits]int32
	// last and base have by length one more than the last code, and what to add to a code to find its symbol.
	last, base [17]int32
	symbols    [256]uint8
}

// define fills the table from the number of codes of each length and their symbols.
func (h *huffman) define(counts *[17]int, symbols []uint8) error {
	*h = huffman{there: true}
	copy(h.symbols[:], symbols)
	code, index := int32(0), int32(0)
	for length := 1; length <= 16; length++ {
		h.base[length] = index - code
		for range counts[length] {
			if code >= 1<<length {
				return malformed("a table of codes is over-full")
			}
			if length <= lookBits {
				from := code << (lookBits - length)
				for i := range int32(1) << (lookBits - length) {
					h.look[from+i] = uint16(length<<8) | uint16(h.symbols[index])
				}
			}
			code++
			index++
		}
		h.last[length] = code
		code <<= 1
	}
	for i, entry := range h.look {
		length, run, size := int(entry>>8), int32(entry>>4&15), int(entry&15)
		if entry != 0 && size == 0 && run == 0 {
			h.whole[i] = endRun<<8 | int32(length)
		}
		if entry == 0 || size == 0 || length+size > lookBits {
			continue
		}
		v := int32(i>>(lookBits-length-size)) & (1<<size - 1)
		if v < 1<<(size-1) {
			v += -1<<size + 1
		}
		h.whole[i] = v<<16 | run<<8 | int32(length+size)
	}
	return nil
}

// next returns the symbol of the next code, or -1 where there is none such.
func (b *bitReader) next(h *huffman) int {
	if b.n < 16 {
		b.fill()
	}
	if entry := h.look[b.acc>>(64-lookBits)]; entry != 0 {
		b.skip(int(entry >> 8))
		return int(entry & 255)
	}
	for length := lookBits + 1; length <= 16; length++ {
		code := int32(b.acc >> uint(64-length))
		if code < h.last[length] {
			b.skip(length)
			return int(h.symbols[(code+h.base[length])&255])
		}
	}
	return -1
}
