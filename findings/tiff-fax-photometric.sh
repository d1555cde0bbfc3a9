#!/usr/bin/env bash
# A black-on-white fax page in TIFF can come out white on black from golang.org/x/image/tiff.
#
# A bilevel TIFF says by its tag PhotometricInterpretation which of its two values is white (TIFF 6.0, section 3): 0 for WhiteIsZero, 1 for
# BlackIsZero. libtiff lets the tag decide for fax compression (CCITT Group 3 and 4) as for every other one. golang.org/x/image/tiff
# gives the same picture for both tags, that of WhiteIsZero: a page with the tag 1, which Pillow and many scanners write, comes out as
# its negative, without an error.
#
# Versions: golang.org/x/image v0.48.0; Pillow 13.0.0, which brings libtiff, as the writer and the other reader.
# Seen: a page with a dark left half, saved by Pillow in mode "1" with the compressions group3 and group4, has the tag 1 and is read by
# Pillow as 0 and 255 (left and right), by golang.org/x/image/tiff as 255 and 0. The same page without compression, or packed by
# deflate, is read alike by both.
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv python
python/bin/pip install --quiet pillow==13.0.0
python/bin/python - <<'PY'
from PIL import Image
page = Image.new("1", (64, 32), 1)
page.paste(0, (0, 0, 32, 32))
for name, compression in (("plain", None), ("deflate", "tiff_adobe_deflate"), ("group3", "group3"), ("group4", "group4")):
    page.save(name + ".tiff", compression=compression)
PY

cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"golang.org/x/image/tiff"
)

func main() {
	for _, name := range []string{"plain", "deflate", "group3", "group4"} {
		f, err := os.Open(name + ".tiff")
		if err != nil {
			panic(err)
		}
		im, err := tiff.Decode(f)
		if err != nil {
			fmt.Println("go", name, err)
			continue
		}
		left, _, _, _ := im.At(8, 16).RGBA()
		right, _, _, _ := im.At(56, 16).RGBA()
		fmt.Println("go", name, left>>8, right>>8)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get golang.org/x/image@v0.48.0 >/dev/null 2>&1
got=$(go run .; python/bin/python -c '
from PIL import Image
for name in ("plain", "deflate", "group3", "group4"):
    page = Image.open(name + ".tiff")
    print("pillow", name, page.tag_v2[262], page.convert("L").getpixel((8, 16)), page.convert("L").getpixel((56, 16)))')
echo "$got"
want='go plain 0 255
go deflate 0 255
go group3 255 0
go group4 255 0
pillow plain 1 0 255
pillow deflate 1 0 255
pillow group3 1 0 255
pillow group4 1 0 255'
[ "$got" = "$want" ] || { echo "this has changed; expected:"; echo "$want"; exit 1; }
