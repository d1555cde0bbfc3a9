"""Writes JPEG pictures and what libjpeg-turbo reads of them, whole and reduced by 2, 4 and 8, as PNG. Needs Pillow and NumPy.

usage: python generate.py   (in this folder)
"""
import numpy as np
from PIL import Image

SIZE = (75, 53)  # neither is a multiple of 8


def picture():
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    red = 128 + 100 * np.sin(x / 7) * np.cos(y / 9)
    green = 128 + 90 * np.sin((x + y) / 11)
    blue = np.where((x // 16 + y // 16) % 2, 200, 60)
    noise = np.random.default_rng(1).normal(0, 6, (SIZE[1], SIZE[0], 3))
    return Image.fromarray((np.stack([red, green, blue], -1) + noise).clip(0, 255).astype(np.uint8))


def main():
    rgb = picture()
    for name, image, options in [
        ("plain", rgb, dict(quality=85)),
        ("full", rgb, dict(quality=95, subsampling=0)),
        ("half", rgb, dict(quality=85, subsampling=1)),
        ("progressive", rgb, dict(quality=85, progressive=True)),
        ("progressive-full", rgb, dict(quality=90, progressive=True, subsampling=0)),
        ("restart", rgb, dict(quality=85, restart_marker_blocks=3)),
        ("progressive-restart", rgb, dict(quality=85, progressive=True, restart_marker_rows=1)),
        ("optimized", rgb, dict(quality=40, optimize=True)),
        ("gray", rgb.convert("L"), dict(quality=85)),
        ("gray-progressive", rgb.convert("L"), dict(quality=85, progressive=True)),
        ("rgb", rgb, dict(quality=90, keep_rgb=True)),
    ]:
        image.save(f"{name}.jpg", **options)
        for by in (1, 2, 4, 8):
            read = Image.open(f"{name}.jpg")
            if by > 1:
                read.draft(read.mode, (SIZE[0] // by, SIZE[1] // by))
            assert read.size == ((SIZE[0] + by - 1) // by, (SIZE[1] + by - 1) // by), (name, by, read.size)
            read.convert("RGB").save(f"{name}.{by}.png", optimize=True)


main()
