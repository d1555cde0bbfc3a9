package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"

	"golang.org/x/image/webp"
)

// sizeOfWebP returns the size of a WebP picture, or of the canvas of an animation.
func sizeOfWebP(content []byte) (width, height int, err error) {
	if chunk := webpChunk(content[min(12, len(content)):], "VP8X"); len(chunk) >= 10 {
		u24 := func(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
		return u24(chunk[4:]) + 1, u24(chunk[7:]) + 1, nil
	}
	c, err := webp.DecodeConfig(bytes.NewReader(content))
	return c.Width, c.Height, err
}

// webpChunk returns the data of the first chunk with the name, or nil.
func webpChunk(chunks []byte, name string) []byte {
	for len(chunks) >= 8 {
		n := int64(binary.LittleEndian.Uint32(chunks[4:]))
		if n > int64(len(chunks)-8) {
			return nil
		}
		if string(chunks[:4]) == name {
			return chunks[8 : 8+n]
		}
		chunks = chunks[min(8+n+n&1, int64(len(chunks))):]
	}
	return nil
}

// decodeWebP reads a WebP picture; of an animation, the first frame on its canvas.
func decodeWebP(content []byte) (image.Image, error) {
	frame := webpChunk(content[min(12, len(content)):], "ANMF")
	if frame == nil {
		return decodeStillWebP(content)
	}
	// WebP container specification: 16 bytes of place, size, duration and flags, then the chunks of a still picture.
	if len(frame) < 16 {
		return nil, errors.New("a frame is cut off")
	}
	u24 := func(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
	at := image.Pt(2*u24(frame), 2*u24(frame[3:]))
	still := new(bytes.Buffer)
	chunk := func(name string, data []byte) {
		still.WriteString(name)
		_ = binary.Write(still, binary.LittleEndian, uint32(len(data))) // a buffer takes everything
		still.Write(data)
		if len(data)%2 == 1 {
			still.WriteByte(0)
		}
	}
	if alpha := webpChunk(frame[16:], "ALPH"); alpha != nil {
		const hasAlpha = 0x10
		chunk("VP8X", append([]byte{hasAlpha, 0, 0, 0}, frame[6:12]...))
		chunk("ALPH", alpha)
	}
	for _, name := range []string{"VP8 ", "VP8L"} {
		if data := webpChunk(frame[16:], name); data != nil {
			chunk(name, data)
		}
	}
	file := append([]byte("RIFF\x00\x00\x00\x00WEBP"), still.Bytes()...)
	binary.LittleEndian.PutUint32(file[4:], uint32(len(file)-8))
	picture, err := decodeStillWebP(file)
	if err != nil {
		return nil, err
	}
	width, height, err := sizeOfWebP(content)
	if err != nil {
		return nil, err
	}
	whole := image.NewNRGBA(image.Rect(0, 0, width, height))
	copyOnto(whole, picture, at)
	return whole, nil
}

// decodeStillWebP reads a picture without frames. The lossy kind has the range of video, black at 16 and white at 235, which the decoder
// hands on as if it were the full range of JPEG.
func decodeStillWebP(content []byte) (image.Image, error) {
	picture, err := webp.Decode(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	switch p := picture.(type) {
	case *image.YCbCr:
		return fromVideo(p, nil, 0), nil
	case *image.NYCbCrA:
		return fromVideo(&p.YCbCr, p.A, p.AStride), nil
	}
	return picture, nil
}

// fromVideo converts by ITU-R BT.601 with 16 binary places. Alpha may be nil.
func fromVideo(p *image.YCbCr, alpha []uint8, stride int) *image.NRGBA {
	out := image.NewNRGBA(p.Rect)
	clip := func(v int32) uint8 { return uint8(min(max((v+1<<15)>>16, 0), 255)) }
	for y := p.Rect.Min.Y; y < p.Rect.Max.Y; y++ {
		for x := p.Rect.Min.X; x < p.Rect.Max.X; x++ {
			luma := (int32(p.Y[p.YOffset(x, y)]) - 16) * 76309 // 255/219
			c := p.COffset(x, y)
			cb, cr := int32(p.Cb[c])-128, int32(p.Cr[c])-128
			to := out.Pix[out.PixOffset(x, y):][:4]
			to[0], to[1], to[2] = clip(luma+104597*cr), clip(luma-25675*cb-53279*cr), clip(luma+132201*cb)
			to[3] = 255
			if alpha != nil {
				to[3] = alpha[(y-p.Rect.Min.Y)*stride+x-p.Rect.Min.X]
			}
		}
	}
	return out
}
