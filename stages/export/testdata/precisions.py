"""Writes a model in int8 and float16 by ONNX Runtime's own tools, to be held against those that plateau export writes.

Usage: precisions.py MODEL.onnx DATASET.safetensors FOLDER [IMAGES]
Needs: pip install onnxruntime onnx sympy numpy. The model takes pixels (0 to 255).

FOLDER gets int8.onnx (weights in seven bits: reduce_range), int8-defaults.onnx (in eight bits, as without that) and float16.onnx. The
images that int8 is calibrated on are the ones that plateau export takes: IMAGES of the training split, evenly spread.
"""
import json
import pathlib
import struct
import sys

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers import float16

source, dataset, folder = sys.argv[1:4]
count = int(sys.argv[4]) if len(sys.argv) > 4 else 256
folder = pathlib.Path(folder)
folder.mkdir(parents=True, exist_ok=True)

with open(dataset, "rb") as f:
    (size,) = struct.unpack("<Q", f.read(8))
    entry = json.loads(f.read(size))["train.images"]
    begin, end = entry["data_offsets"]
    f.seek(8 + size + begin)
    images = np.frombuffer(f.read(end - begin), np.uint8).reshape(entry["shape"])
count = min(count, len(images))
images = images[[i * len(images) // count for i in range(count)]]


class Pictures(CalibrationDataReader):
    def __init__(self):
        self.batches = iter(range(0, count, 32))

    def get_next(self):
        first = next(self.batches, None)
        return None if first is None else {"images": images[first:first + 32].astype(np.float32)}


prepared = folder / "prepared.onnx"
quant_pre_process(source, str(prepared), skip_symbolic_shape=True)
for name, reduced in {"int8.onnx": True, "int8-defaults.onnx": False}.items():
    quantize_static(
        str(prepared), str(folder / name), Pictures(), quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=reduced,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
    )
# Not the converter of onnxconverter-common: of an output that the model itself reads, as the softmax reads the logits, it makes a file that
# does not load.
onnx.save(float16.convert_float_to_float16(onnx.load(source), keep_io_types=True), str(folder / "float16.onnx"))
prepared.unlink()
