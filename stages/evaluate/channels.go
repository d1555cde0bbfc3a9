package evaluate

import (
	"fmt"
	"slices"

	"github.com/plateau-nas/plateau/stages/dataset"
)

// Channels names the channels that a model takes, in their order.
type Channels string

// The channels. ChannelsAuto takes those of the images: gray ones, or red, green and blue. The others convert images that have
// different ones: gray becomes color by repeating it, color becomes gray by its brightness.
const (
	ChannelsAuto Channels = "auto"
	ChannelsGray Channels = "gray"
	ChannelsRGB  Channels = "rgb"
	ChannelsBGR  Channels = "bgr" // the order of models that were trained with OpenCV or Caffe
)

// Weights of red, green and blue in the brightness of a picture, in thousandths (ITU-R BT.601).
const lumaRed, lumaGreen, lumaBlue = 299, 587, 114

// convert returns the images with the channels wanted, and says what was done to them; "" when nothing was.
func (c Channels) convert(im *dataset.Images) (*dataset.Images, string, error) {
	if c == "" || c == ChannelsAuto {
		return im, "", nil
	}
	if !slices.Contains([]Channels{ChannelsGray, ChannelsRGB, ChannelsBGR}, c) {
		return nil, "", fmt.Errorf("channels %q are not known; use %s, %s, %s or %s", c, ChannelsAuto, ChannelsGray, ChannelsRGB, ChannelsBGR)
	}
	if im.Channels != 1 && im.Channels != 3 {
		return nil, "", fmt.Errorf("images of %d channels cannot be made %s", im.Channels, c)
	}
	area := im.Height * im.Width
	out := *im
	switch {
	case im.Channels == 1 && c == ChannelsGray, im.Channels == 3 && c == ChannelsRGB:
		return im, "", nil
	case c == ChannelsGray:
		out.Channels = 1
		out.Pixels = make([]uint8, im.Count*area)
		for i := range im.Count {
			p := im.Pixels[i*3*area:][:3*area]
			to := out.Pixels[i*area:][:area]
			for k := range to {
				to[k] = uint8((lumaRed*int(p[k]) + lumaGreen*int(p[area+k]) + lumaBlue*int(p[2*area+k]) + 500) / 1000)
			}
		}
		return &out, "color images made gray by brightness", nil
	case im.Channels == 1:
		out.Channels = 3
		out.Pixels = make([]uint8, 0, 3*len(im.Pixels))
		for i := range im.Count {
			p := im.Pixels[i*area:][:area]
			out.Pixels = append(append(append(out.Pixels, p...), p...), p...)
		}
		return &out, "gray images repeated as three channels", nil
	default: // red, green, blue to blue, green, red
		out.Pixels = make([]uint8, 0, len(im.Pixels))
		for i := range im.Count {
			p := im.Pixels[i*3*area:][:3*area]
			out.Pixels = append(append(append(out.Pixels, p[2*area:]...), p[area:2*area]...), p[:area]...)
		}
		return &out, "channels put in the order blue, green, red", nil
	}
}
