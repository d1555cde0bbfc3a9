"""Writes pictures in many formats and what Pillow reads of them, on white, as PNG. Needs Pillow and NumPy.

usage: python generate.py   (in this folder)
"""
import struct

import numpy as np
from PIL import Image

SIZE = (19, 13)


def picture(phase):
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    red = 128 + 100 * np.sin(x / 5 + phase)
    green = 128 + 90 * np.sin((x + y) / 6)
    blue = 128 + 80 * np.cos(y / 4)
    return Image.fromarray(np.stack([red, green, blue], -1).clip(0, 255).astype(np.uint8))


def set_photometric(name, value):
    """Changes what the two values of a bilevel TIFF look like; Pillow writes one of the two only."""
    content = bytearray(open(name, "rb").read())
    first = struct.unpack_from("<I", content, 4)[0]
    for entry in range(struct.unpack_from("<H", content, first)[0]):
        at = first + 2 + 12 * entry
        if struct.unpack_from("<H", content, at)[0] == 262:
            struct.pack_into("<H", content, at + 8, value)
    open(name, "wb").write(content)


def main():
    rgb = picture(0)
    rgba = rgb.convert("RGBA")
    rgba.putalpha(Image.fromarray((np.arange(SIZE[0] * SIZE[1]).reshape(SIZE[1], SIZE[0]) % 256).astype(np.uint8)))
    frames = dict(save_all=True, append_images=[picture(2)], duration=100)
    for name, image, options in [
        ("lossy.webp", rgb, dict(quality=90)),
        ("alpha.webp", rgba, dict(quality=90)),
        ("lossless.webp", rgba, dict(lossless=True)),
        ("animated.webp", rgb, dict(quality=90, **frames)),
        ("animated-lossless.webp", rgba, dict(lossless=True, save_all=True, append_images=[picture(2).convert("RGBA")], duration=100)),
        ("animated.gif", rgb, dict(**frames)),
        ("animated.png", rgb, dict(**frames)),
        ("colors.bmp", rgb, {}),
        ("palette.bmp", rgb.convert("P"), {}),
        ("gray.bmp", rgb.convert("L"), {}),
        ("plain.tif", rgb, {}),
        ("lzw.tif", rgb, dict(compression="tiff_lzw")),
        ("deflate.tif", rgba, dict(compression="tiff_adobe_deflate")),
        ("packbits.tif", rgb.convert("L"), dict(compression="packbits")),
        ("palette.tif", rgb.convert("P"), {}),
        ("group3.tif", rgb.convert("1"), dict(compression="group3")),
        ("group4.tif", rgb.convert("1"), dict(compression="group4")),
        ("group4-white-is-zero.tif", rgb.convert("1"), dict(compression="group4")),  # its tag is changed below
        ("palette.png", rgb.convert("P"), {}),
        ("bits.png", rgb.convert("1"), {}),
    ]:
        image.save(name, **options)
        if "white-is-zero" in name:
            set_photometric(name, 0)
        read = Image.open(name).convert("RGBA")
        white = Image.new("RGBA", SIZE, (255, 255, 255, 255))
        white.alpha_composite(read)
        white.convert("RGB").save(name + ".want.png", optimize=True)


main()
