#!/usr/bin/env bash
# A float16 conversion that keeps inputs and outputs in float32 makes an invalid model of a classifier that gives logits and their softmax.
#
# onnxconverter-common's convert_float_to_float16 with keep_io_types=True puts a Cast to float32 in front of every output of the graph. Where
# an output is read by another node of the graph as well, as logits are by a Softmax whose result is a second output, the node
# gets the float32 value while what it writes has been declared float16. The function raises nothing; ONNX Runtime refuses
# the model. With the Softmax's output alone, or with keep_io_types=False, the same graph converts well.
#
# Versions: onnxconverter-common 1.16.0, onnx 1.20.1, onnxruntime 1.27.0.
# Seen: "one output" loads and "two outputs" is refused, with an error about the types tensor(float16) and tensor(float).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv python
python/bin/pip install --quiet onnx==1.20.1 onnxconverter-common==1.16.0 onnxruntime==1.27.0 numpy
got=$(python/bin/python - <<'PY' 2>/dev/null
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxconverter_common import float16


def classifier(outputs):
    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["logits"], "product"),
             helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax")]
    graph = helper.make_graph(
        nodes, "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in outputs],
        [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


for title, outputs in (("one output", ["probabilities"]), ("two outputs", ["logits", "probabilities"])):
    half = float16.convert_float_to_float16(classifier(outputs), keep_io_types=True)
    try:
        ort.InferenceSession(half.SerializeToString(), providers=["CPUExecutionProvider"])
        print(title, "loads")
    except Exception as e:
        types = "tensor(float16)" in str(e) and "tensor(float)" in str(e)
        print(title, "is refused", "for its types" if types else str(e))
PY
)
echo "$got"
want='one output loads
two outputs is refused for its types'
[ "$got" = "$want" ] || { echo "this has changed; expected:"; echo "$want"; exit 1; }
