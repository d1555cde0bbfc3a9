"""Writes peer.json: how ONNX Runtime's own quantizer writes ranges and weights, and how NumPy rounds to float16.

Needs: pip install onnxruntime onnx numpy. Run it in this folder.
"""
import json

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization.quant_utils import QuantType, compute_scale_zp, get_qmin_qmax_for_qType, quantize_data

random = np.random.default_rng(1)


def activations():
    qmin, qmax = get_qmin_qmax_for_qType(QuantType.QUInt8.tensor_type)
    for low, high in [(0, 1), (-1, 1), (-3, 1), (0, 255), (5, 9), (-9, -5), (-0.001, 1000), (-1e-4, 3e-4)] + [
        tuple(sorted(random.normal(0, 10.0 ** random.integers(-3, 4), 2))) for _ in range(24)
    ]:
        low, high = np.float32(low), np.float32(high)
        zero, scale = compute_scale_zp(low, high, qmin, qmax, symmetric=False)
        yield {"low": float(low), "high": float(high), "scale": float(scale), "zero": int(zero)}


def weights():
    for n in (1, 2, 9, 27, 144):
        for spread in (1e-3, 0.1, 5.0):
            w = random.normal(0, spread, n).astype(np.float32)
            zero, scale, q = quantize_data(w, onnx.TensorProto.INT8, symmetric=True, reduce_range=True)[-3:]
            assert zero == 0
            yield {"weights": [float(v) for v in w], "scale": float(scale), "whole": [int(v) for v in q]}


def halves():
    x = np.concatenate([random.normal(0, 10.0 ** p, 12) for p in range(-9, 5)]).astype(np.float32)
    x = np.clip(x, -65504, 65504)
    return {"numbers": [float(v) for v in x], "bits": [int(v) for v in x.astype(np.float16).view(np.uint16)]}


json.dump(
    {"onnxruntime": onnxruntime.__version__, "numpy": np.__version__, "activations": list(activations()), "weights": list(weights()), "float16": halves()},
    open("peer.json", "w"), indent=1,
)
