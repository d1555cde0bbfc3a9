#!/usr/bin/env bash
# Lossy WebP pictures that are decoded by golang.org/x/image/webp have too little contrast.
#
# VP8, the format inside lossy WebP, stores luma in video range: black is about 16 and white about 235 (RFC 6386, section 9.2, and
# libwebp's own conversion). golang.org/x/image/webp hands the planes on as an image.YCbCr, whose color conversion is that of JPEG,
# with the full range from 0 to 255. So black comes out as dark gray and white as light gray, without an error, and
# a classifier that was trained on pictures decoded by libwebp sees paler ones in Go.
#
# Versions: golang.org/x/image v0.48.0; Pillow 13.0.0, which brings libwebp, as the other decoder.
# Seen: a picture of which one half is black and the other white, saved by Pillow at quality 90, is read by Pillow as 0 and 255,
# by golang.org/x/image/webp as 16 and 235. A lossless one is read alike by both.
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv python
python/bin/pip install --quiet pillow==13.0.0
python/bin/python - <<'PY'
from PIL import Image
im = Image.new("RGB", (64, 32), (0, 0, 0))
im.paste((255, 255, 255), (32, 0, 64, 32))
im.save("lossy.webp", quality=90)
im.save("lossless.webp", lossless=True)
PY

cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"golang.org/x/image/webp"
)

func main() {
	for _, name := range []string{"lossy", "lossless"} {
		f, err := os.Open(name + ".webp")
		if err != nil {
			panic(err)
		}
		im, err := webp.Decode(f)
		if err != nil {
			panic(err)
		}
		dark, _, _, _ := im.At(8, 16).RGBA()
		light, _, _, _ := im.At(56, 16).RGBA()
		fmt.Println("go", name, dark>>8, light>>8)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get golang.org/x/image@v0.48.0 >/dev/null 2>&1
got=$(go run .; python/bin/python -c '
from PIL import Image
for name in ("lossy", "lossless"):
    back = Image.open(name + ".webp").convert("RGB")
    print("pillow", name, back.getpixel((8, 16))[0], back.getpixel((56, 16))[0])')
echo "$got"
want='go lossy 16 235
go lossless 0 255
pillow lossy 0 255
pillow lossless 0 255'
[ "$got" = "$want" ] || { echo "this has changed; expected:"; echo "$want"; exit 1; }
