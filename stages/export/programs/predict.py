"""Says what pictures show: python predict.py photo.jpg ...

Needs: pip install onnxruntime numpy pillow. The files model.onnx, preprocess.json and labels.txt lie beside this one."""
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

here = Path(__file__).parent
how = json.loads((here / "preprocess.json").read_text("utf-8"))
labels = (here / "labels.txt").read_text("utf-8").split("\n")[:-1]
session = onnxruntime.InferenceSession(here / "model.onnx", providers=["CPUExecutionProvider"])


def weights(side, size):
    """A matrix [size, side] of whole numbers: the pixels of a line that make each pixel of a line of another size."""
    w = np.zeros((size, side))
    for i in range(size):
        if size <= side:  # reduce: by area
            for k in range(i * side // size, -(-(i + 1) * side // size)):
                w[i, k] = min((k + 1) * size, (i + 1) * side) - max(k * size, i * side)
        else:  # enlarge: between the two nearest centers
            k, rest = divmod(min(max((2 * i + 1) * side - size, 0), (side - 1) * 2 * size), 2 * size)
            w[i, k] += 2 * size - rest
            w[i, min(k + 1, side - 1)] += rest
    return w


def read(path):
    """The picture as the model takes it: float32 [1, channels, size, size]."""
    picture = Image.open(path)
    if how["picture"]["orientation"] == "exif":
        picture = ImageOps.exif_transpose(picture)
    picture = picture.convert("RGBA")
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    side = max(int(how["picture"]["center"] * min(picture.size) + 0.5), 1)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    pixels = np.asarray(picture.crop((left, top, left + side, top + side)), np.float64).transpose(2, 0, 1)
    w = weights(side, how["picture"]["size"])
    total = w[0].sum() ** 2
    pixels = np.floor((w @ pixels @ w.T + total // 2) / total)
    if how["input"]["channels"] == ["gray"]:
        pixels = np.floor((np.tensordot([299, 587, 114], pixels, 1) + 500) / 1000)[None]
    value = how["value"]
    mean, std = (np.reshape(value[k], (-1, 1, 1)) for k in ("mean", "std"))
    return ((pixels * value["scale"] - mean) / std).astype(np.float32)[None]


for name in sys.argv[1:]:
    [probabilities] = session.run(["probabilities"], {how["input"]["name"]: read(name)})
    best = int(probabilities[0].argmax())
    print(f"{name}: {labels[best]} {probabilities[0][best]:.6f}")
