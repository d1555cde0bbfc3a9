#!/usr/bin/python3
"""Writes rules.safetensors: what PyTorch computes for every operator that has a gradient rule.

    /usr/bin/python3 exporter/autodiff/testdata/generate.py      (Debian: python3-torch)

Each case names an operator, its settings and its inputs. Inputs and the gradients of the outputs are made by
the function noise, which the Go test has too, so only PyTorch's results are stored: outputs "CASE/y0" and gradients of the float
inputs "CASE/dx0". The cases are the metadata entry "cases", as JSON. PyTorch computes in float64.
"""
import json, os, struct
import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def noise(seed, count):
    """Numbers in [-1, 1) that any language can make: a hash of seed and index."""
    mask = np.uint64(0xFFFFFFFF)
    h = (np.arange(count, dtype=np.uint64) * np.uint64(2654435761) + np.uint64(seed) * np.uint64(40503)) & mask
    h = ((h ^ (h >> np.uint64(15))) * np.uint64(2246822519)) & mask
    h = ((h ^ (h >> np.uint64(13))) * np.uint64(3266489917)) & mask
    h ^= h >> np.uint64(16)
    return (h.astype(np.float64) / 2147483648.0 - 1.0).astype(np.float32)


def make(seed, spec):
    """The input of a case: plain noise; coarse has many ties; positive lies in [0.5, 1.5), rate in [0, 0.5);
    grid is 0 or 1; labels are classes."""
    count = int(np.prod(spec["shape"]))
    v = noise(seed, count)
    kind = spec["kind"]
    if kind == "coarse":
        v = np.round(v * 2) / 2
    if kind == "positive":
        v = v / 2 + 1
    if kind == "grid":
        v = np.floor(v + 1)
    if kind == "rate":
        v = v / 4 + np.float32(0.25)
    if kind == "offset":
        v = v + 2
    if kind == "labels":
        return torch.from_numpy(np.floor((v.astype(np.float64) + 1) / 2 * spec["classes"]).astype(np.int64).reshape(spec["shape"]))
    return torch.from_numpy(v.astype(np.float64).reshape(spec["shape"]))


cases, tensors = [], {}


def case(op, inputs, f, **settings):
    seed = 100 * len(cases)
    specs = [s if isinstance(s, dict) else {"shape": list(s), "kind": "noise"} for s in inputs]
    xs = [make(seed + i, s) for i, s in enumerate(specs)]
    for x in xs:
        x.requires_grad_(x.is_floating_point())
    ys = f(*xs)
    ys = list(ys) if isinstance(ys, (tuple, list)) else [ys]
    dys = [make(seed + 50 + i, {"shape": list(y.shape), "kind": "noise"}) for i, y in enumerate(ys)]
    wrt = [x for x in xs if x.requires_grad]
    dxs = torch.autograd.grad(ys, wrt, dys, allow_unused=True)
    name = "%03d" % len(cases)
    for i, y in enumerate(ys):
        tensors["%s/y%d" % (name, i)] = y.detach().numpy().astype(np.float32)
    for i, (x, dx) in enumerate(zip(wrt, dxs)):
        tensors["%s/dx%d" % (name, i)] = (torch.zeros_like(x) if dx is None else dx).numpy().astype(np.float32)
    cases.append({"op": op, "inputs": specs, "outputs": len(ys), "settings": settings})


def like(shape, kind, **more):
    return dict(shape=list(shape), kind=kind, **more)


def convolutions():
    def conv(x, w, kernel, stride=(1, 1), pad=(0, 0, 0, 0), dilation=(1, 1), groups=1, bias=False):
        shapes = [x, (w[0], w[1], kernel[0], kernel[1])] + ([(w[0],)] if bias else [])
        f = lambda x, w, b=None: F.conv2d(F.pad(x, (pad[1], pad[3], pad[0], pad[2])), w, b, stride, 0, dilation, groups)
        case("Conv", shapes, f, stride=stride, pad=pad, dilation=dilation, groups=groups)

    for k in (1, 3, 5):
        for s in (1, 2):
            for p in sorted({0, k // 2}):
                conv((2, 4, 7, 6), (2, 4), (k, k), (s, s), (p,) * 4)
    conv((1, 2, 8, 8), (3, 2), (3, 3), (2, 2), (1,) * 4)  # a row that no window begins at
    conv((1, 2, 8, 9), (3, 2), (2, 3), (3, 2), (1, 0, 0, 2))
    conv((2, 2, 6, 6), (2, 2), (3, 3), (1, 1), (2,) * 4, (2, 2))
    conv((2, 2, 7, 7), (2, 2), (3, 3), (2, 2), (2,) * 4, (2, 2))
    conv((1, 2, 9, 8), (2, 2), (3, 3), (1, 1), (1, 2, 0, 3), (1, 2))
    conv((1, 2, 4, 4), (2, 2), (1, 1), (1, 1), (1,) * 4)  # more padding than the kernel reaches
    conv((1, 2, 4, 4), (2, 2), (3, 3), (1, 1), (3,) * 4)
    conv((2, 4, 6, 5), (6, 2), (3, 3), (1, 1), (1,) * 4, groups=2, bias=True)
    conv((2, 4, 6, 5), (2, 2), (3, 3), (2, 2), (1,) * 4, groups=2)
    conv((2, 4, 6, 5), (6, 2), (1, 1), groups=2)
    for k, s, d in ((3, 1, 1), (3, 2, 1), (5, 1, 1), (5, 2, 1), (3, 1, 2), (3, 2, 2), (5, 1, 2), (5, 2, 2)):
        conv((1, 3, 8, 8), (3, 1), (k, k), (s, s), (d * (k - 1) // 2,) * 4, (d, d), groups=3)
    conv((1, 2, 3, 48), (2, 1), (3, 3), (1, 1), (1,) * 4, groups=2)  # wide beside the kernel
    conv((1, 2, 3, 49), (2, 1), (3, 3), (2, 2), (1,) * 4, groups=2)
    conv((2, 2, 6, 6), (4, 1), (3, 3), (1, 1), (1,) * 4, groups=2)  # two outputs for each input channel
    conv((2, 3, 6, 6), (4, 3), (3, 3), (1, 1), (1,) * 4, bias=True)
    conv((3, 2, 5, 5), (4, 2), (1, 1), bias=True)
    conv((3, 2, 5, 5), (4, 2), (5, 5))  # one output position
    conv((2, 3, 1, 1), (4, 3), (1, 1))

    def transposed(x, w, kernel, stride, pad, output_pad, dilation=(1, 1), groups=1):
        f = lambda x, w: F.conv_transpose2d(x, w, None, stride, pad, output_pad, groups, dilation)
        case("ConvTranspose", [x, (w[0], w[1], kernel[0], kernel[1])], f, stride=stride, pad=pad * 2, outputPad=output_pad, dilation=dilation, groups=groups)

    transposed((2, 3, 4, 4), (3, 2), (3, 3), (1, 1), (1, 1), (0, 0))
    transposed((2, 3, 4, 3), (3, 2), (3, 3), (2, 2), (1, 1), (1, 1))
    transposed((2, 4, 4, 3), (4, 1), (3, 2), (2, 1), (1, 0), (0, 0), groups=2)
    transposed((1, 2, 4, 3), (2, 2), (3, 3), (2, 2), (1, 1), (0, 1), (2, 2))


def pools():
    def average(x, k, s, p, count):
        f = lambda x: F.avg_pool2d(x, k, s, p, count_include_pad=count)
        case("AveragePool", [x], f, kernel=k, stride=s, pad=p * 2, count=count)

    for count in (True, False):
        average((2, 2, 6, 5), (3, 3), (1, 1), (1, 1), count)
        average((1, 2, 7, 6), (3, 3), (2, 2), (1, 1), count)
        average((1, 2, 8, 8), (3, 3), (2, 2), (1, 1), count)
        average((1, 2, 6, 6), (2, 2), (2, 2), (0, 0), count)
        average((1, 2, 7, 5), (2, 2), (2, 2), (0, 0), count)
        average((1, 2, 8, 8), (5, 5), (3, 3), (0, 0), count)
        average((1, 2, 7, 6), (3, 2), (1, 2), (1, 0), count)
        average((1, 2, 7, 6), (2, 2), (3, 3), (1, 0), count)
    case("GlobalAveragePool", [(2, 3, 4, 5)], lambda x: x.mean((2, 3), keepdim=True))

    def maximum(x, k, s, p):
        f = lambda x: F.max_pool2d(x, k, s, p)
        case("MaxPool", [x], f, kernel=k, stride=s, pad=p * 2)

    for kind in ("noise", "coarse"):
        maximum(like((2, 2, 6, 5), kind), (3, 3), (1, 1), (1, 1))
        maximum(like((1, 2, 7, 6), kind), (3, 3), (2, 2), (1, 1))
        maximum(like((1, 2, 8, 8), kind), (3, 3), (2, 2), (1, 1))
        maximum(like((1, 2, 6, 6), kind), (2, 2), (2, 2), (0, 0))
        maximum(like((1, 2, 7, 5), kind), (2, 2), (2, 2), (0, 0))
        maximum(like((1, 2, 7, 6), kind), (3, 2), (1, 2), (1, 0))
        maximum(like((1, 1, 7, 8), kind), (2, 2), (3, 3), (1, 0))


def normalization():
    def train(x, momentum, affine):
        c = x["shape"][1]
        f = lambda x, s=None, b=None: F.batch_norm(x, None, None, s, b, True, 0.1, 1e-5)
        case("BatchNormTrain", [x] + ([like((c,), "positive"), (c,)] if affine else []), f, momentum=momentum)

    for kind in ("noise", "offset"):
        for momentum in (0, 0.9):
            for affine in (False, True):
                train(like((3, 2, 4, 3), kind), momentum, affine)
    c = (3,)
    f = lambda x, s, b, m, v: F.batch_norm(x, m.detach(), v.detach(), s, b, False, 0.1, 1e-3)
    g = lambda x, s, b, m, v: (x - m.view(3, 1, 1)) / torch.sqrt(v.view(3, 1, 1) + 1e-3) * s.view(3, 1, 1) + b.view(3, 1, 1)
    x = torch.randn(2, 3, 2, 2)
    assert torch.allclose(f(x, *[torch.ones(3)] * 4), g(x, *[torch.ones(3)] * 4))
    case("BatchNorm", [(2, 3, 4, 3), like(c, "positive"), c, c, like(c, "positive")], g)


def elementwise():
    for a, b in (((2, 3), (2, 3)), ((2, 3, 4), (3, 1)), ((3, 1), (2, 1, 4)), ((2, 3, 2, 2), (1,)), ((1,), (2, 2)), ((2, 2), ()), ((3, 1, 1), (2, 3, 2, 2))):
        case("Add", [a, b], torch.add)
        case("Sub", [a, b], torch.sub)
        case("Mul", [a, b], torch.mul)
        case("Div", [a, like(b, "positive")], torch.div)
        case("Max", [like(a, "coarse"), like(b, "coarse")], torch.maximum)
        case("Min", [like(a, "coarse"), like(b, "coarse")], torch.minimum)
    case("Square", [(2, 3)], lambda x: x * x)
    case("Sum", [(2, 3)] * 4, lambda *x: sum(x))
    case("Sum", [(2, 3)], lambda x: x + x + x)
    for p in (2.0, 3.0, 0.5, -1.0):
        case("Pow", [like((2, 3), "positive")], lambda x: x ** p, exponent=p)
    for op, kind, f in (("Neg", "noise", torch.neg), ("Sqrt", "positive", torch.sqrt), ("Exp", "noise", torch.exp), ("Log", "positive", torch.log),
                        ("Abs", "coarse", torch.abs), ("Reciprocal", "positive", torch.reciprocal), ("Relu", "coarse", torch.relu),
                        ("Sigmoid", "noise", torch.sigmoid), ("Tanh", "noise", torch.tanh), ("Identity", "noise", lambda x: x * 1)):
        case(op, [like((3, 5), kind)], f)
    for axis in (0, 1, 2):
        case("Softmax", [(2, 3, 4)], lambda x: torch.softmax(x, axis), axis=axis)
        case("LogSoftmax", [(2, 3, 4)], lambda x: torch.log_softmax(x, axis), axis=axis)
    case("Where", [(2, 3), (2, 3), (3,)], lambda c, a, b: torch.where(c > 0, a, b))
    case("Where", [(3,), (1, 3), (2, 1)], lambda c, a, b: torch.where(c > 0, a, b))


def linear():
    for ta in (False, True):
        for tb in (False, True):
            a, b = ((3, 2) if ta else (2, 3)), ((4, 3) if tb else (3, 4))
            f = lambda a, b, c: (a.t() if ta else a) @ (b.t() if tb else b) + c
            case("Gemm", [a, b, (4,)], f, transA=ta, transB=tb)
    case("Gemm", [(2, 3), (3, 4)], lambda a, b: a @ b, transA=False, transB=False)
    case("Gemm", [(2, 3), (3, 4), (2, 1)], lambda a, b, c: a @ b + c, transA=False, transB=False)
    for a, b in (((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((2, 1, 2, 3), (4, 3, 2)), ((2, 2, 2, 3), (3, 1))):
        case("MatMul", [a, b], torch.matmul)


def layout():
    case("Concat", [(2, 3), (2, 1), (2, 4)], lambda *x: torch.cat(x, 1), axis=1)
    case("Concat", [(2, 3), (1, 3)], lambda *x: torch.cat(x, 0), axis=0)
    case("Split", [(2, 6)], lambda x: torch.split(x, [1, 3, 2], 1), axis=1, sizes=[1, 3, 2])
    case("SplitFirst", [(5,)], lambda x: torch.split(x, [2, 3])[0], axis=0, sizes=[2, 3])
    case("Slice", [(5, 6)], lambda x: x[1:4, 2:], ranges=[[0, 1, 4, 1], [1, 2, 6, 1]])
    case("Slice", [(5, 7)], lambda x: x[1:5:2, 0:7:3], ranges=[[0, 1, 5, 2], [1, 0, 7, 3]])
    case("Slice", [(1, 2, 6, 6)], lambda x: x[:, :, 1::2, 1::2], ranges=[[2, 1, 6, 2], [3, 1, 6, 2]])
    case("Slice", [(8,)], lambda x: x[0:5:4], ranges=[[0, 0, 5, 4]])
    case("Reshape", [(2, 6)], lambda x: x.reshape(3, 4), shape=[3, 4])
    case("Flatten", [(2, 3, 4)], lambda x: x.reshape(2, 12), axis=1)
    case("Transpose", [(2, 3, 4)], lambda x: x.permute(2, 0, 1), perm=[2, 0, 1])
    case("Pad", [(2, 3)], lambda x: F.pad(x, (2, 1, 0, 3), value=0.5), before=[0, 2], after=[3, 1], value=0.5)
    case("Expand", [(3, 1)], lambda x: x.expand(2, 3, 4), shape=[2, 3, 4])
    index = torch.tensor([2, 0, 2, 1])
    case("Gather", [(3, 4)], lambda x: x[index], axis=0, index=[2, 0, 2, 1], shape=[4])
    case("Gather", [(2, 3, 2)], lambda x: x[:, index], axis=1, index=[2, 0, 2, 1], shape=[4])


def picks():
    square = torch.tensor([[2, 0, 2], [1, 1, 0]])
    settings = dict(index=square.flatten().tolist(), shape=[2, 3])
    case("Gather", [(3, 4)], lambda x: x[square], axis=0, **settings)
    case("Gather", [(2, 3, 2)], lambda x: x[:, square], axis=-2, **settings)
    case("Gather", [(2, 2, 3)], lambda x: x[..., square], axis=2, **settings)
    case("Gather", [(2, 3)], lambda x: x[:, 1], axis=1, index=[1], shape=[])
    case("Gather", [(2, 3)], lambda x: x[-1], axis=0, index=[-1], shape=[])
    for x, index, axis in (((4, 5), (4, 1), 1), ((4, 5), (7, 3), 0), ((2, 3, 4), (2, 2, 6), 2), ((2, 3, 4), (1, 5, 4), -2), ((3,), (5,), 0)):
        places = like(index, "labels", classes=x[axis])
        case("GatherElements", [x, places], lambda x, i: torch.gather(x, axis, i), axis=axis)
        case("ScatterAdd", [x, places, index], lambda x, i, u: torch.scatter_add(x, axis, i, u), axis=axis)
    for x, index, axis in (((3, 4), [[3, 0], [1, 2]], 1), ((3, 4), [[2, 0, 1], [0, 2, 0]], 0), ((2, 1, 3), [[[2, 0]], [[1, 2]]], -1), ((4,), [1, 3], 0)):
        index = torch.tensor(index)
        case("ScatterElements", [x, tuple(index.shape)], lambda x, u: torch.scatter(x, axis, index, u), axis=axis, index=index.flatten().tolist(), shape=list(index.shape))


def reductions():
    for keep in (False, True):
        for axes in ([0, 1, 2], [1], [0, 2]):
            for op, f in (("ReduceSum", torch.sum), ("ReduceMean", torch.mean), ("ReduceMax", torch.amax)):
                kind = "coarse" if op == "ReduceMax" else "noise"
                case(op, [like((2, 3, 4), kind)], lambda x: f(x, axes, keepdim=keep), axes=axes, keep=keep)
            case("ReduceSumSquare", [(2, 3, 4)], lambda x: (x * x).sum(axes, keepdim=keep), axes=axes, keep=keep)


def losses():
    for s in (0.0, 0.1):
        f = lambda x, y: F.cross_entropy(x, y, label_smoothing=s).reshape(1)
        case("CrossEntropy", [(5, 4), like((5,), "labels", classes=4)], f, smoothing=s)


def activations():
    # The scale takes the inputs over all parts of the functions; coarse inputs hit the corners.
    for op, f in (("Erf", torch.erf), ("Gelu", F.gelu), ("GeluTanh", lambda x: F.gelu(x, approximate="tanh")), ("Swish", F.silu),
                  ("HardSigmoid", F.hardsigmoid), ("HardSwish", F.hardswish)):
        # 16 elements are whole vectors: for others PyTorch has a kernel with another slope of hardswish at 3.
        for scale in (1.0, 6.0):
            case("Scaled", [like((2, 8), "coarse")], lambda x: f(x * scale), activation=op, scale=scale)
        case("Scaled", [(2, 2, 3, 4)], lambda x: f(x * 4), activation=op, scale=4.0)
    for low, high in ((-1.0, 1.0), (0.0, 6.0), (None, 0.5), (-0.5, None)):
        settings = {k: v for k, v in (("low", low), ("high", high)) if v is not None}
        case("Clip", [like((3, 5), "coarse")], lambda x: torch.clamp(x * 2, low, high), scale=2.0, **settings)


def layer_norms():
    for shape, axis in (((4, 6), 1), ((2, 3, 4), 2), ((2, 3, 4), 1), ((2, 3, 2, 4), 3), ((5,), 0), ((2, 3, 4), 0)):
        norm = shape[axis:]
        for kind in ("noise", "offset"):
            f = lambda x, s, b=None: F.layer_norm(x, norm, s, b, 1e-3)
            case("LayerNorm", [like(shape, kind), like(norm, "positive"), norm], f, axis=axis)
        case("LayerNorm", [shape, norm], f, axis=axis - len(shape))


def dropouts():
    """Masks are given: noise above zero keeps. Drop path is that of DARTS (utils.py, drop_path): x / keep_prob * mask."""
    for shape in ((3, 4), (3, 1), (4,)):
        case("Dropout", [(3, 4), shape], lambda x, m: x / (1 - 0.3) * (m > 0), rate=0.3)
    case("DropPath", [(6, 2, 3, 3), (6,), like((), "rate")], lambda x, m, rate: x / (1 - rate) * (m > 0).view(6, 1, 1, 1))
    case("DropPath", [(5, 3), (5,), like((1,), "rate")], lambda x, m, rate: x / (1 - rate) * (m > 0).view(5, 1))


def powers():
    case("Pow", [like((2, 3), "positive"), (3,)], torch.pow)
    case("Pow", [like((3, 1), "positive"), (2, 1, 4)], torch.pow)
    case("Pow", [like((3, 4), "grid"), like((3, 4), "grid")], torch.pow)  # zeros as base and as exponent
    case("Pow", [(2, 3)], lambda x: x ** 2.0, exponent=2.0)
    case("Pow", [like((2, 3), "coarse")], lambda x: x ** 0.0, exponent=0.0)


def images():
    for shape, factors in (((2, 2, 3, 4), (2, 2)), ((1, 2, 3, 2), (3, 1)), ((1, 2, 1, 5), (1, 4)), ((2, 1, 2, 2), (1, 1))):
        case("Resize", [shape], lambda x: F.interpolate(x, scale_factor=[float(v) for v in factors], mode="nearest"), factors=factors)
    # DARTS (operations.py, FactorizedReduce): two convolutions of which one sees the image shifted.
    f = lambda x, w1, w2: torch.cat([F.conv2d(x, w1, stride=2), F.conv2d(x[:, :, 1:, 1:], w2, stride=2)], 1)
    for size in ((6, 8), (2, 2)):
        case("FactorizedReduce", [(2, 3) + size, (2, 3, 1, 1), (3, 3, 1, 1)], f)


def network():
    """A small NAS-Bench-201 supernet: loss and gradients of the first step, and 20 steps of SGD. The Go test builds the same with
    the exporter's packages; both take parameters in the order of their use."""
    batch, size, classes, steps = 4, 8, 5, 20
    shapes = []

    def forward(x, alpha, take):
        def norm(x, affine=False, scale=1.0):
            c = x.shape[1]
            s, b = (take((c,), "ones"), take((c,), "zeros")) if affine else (None, None)
            return F.batch_norm(x, None, None, s, b, True, 0.1, 1e-5) * scale

        def conv(x, out, k, stride=1):
            return F.conv2d(x, take((out, x.shape[1], k, k), "conv"), None, stride, k // 2)

        def cell(x):
            c, states, e = x.shape[1], [x], 0
            for node in range(1, 4):
                total = 0
                for j in range(node):
                    h, w = states[j], p[e]
                    total = total + w[1] * h + norm(conv(torch.relu(h), c, 1), scale=w[2]) + norm(conv(torch.relu(h), c, 3), scale=w[3])
                    total = total + w[4] * F.avg_pool2d(h, 3, 1, 1, count_include_pad=False)
                    e += 1
                states.append(total)
            return states[-1]

        p = torch.softmax(alpha, 1)
        x = cell(norm(conv(x, 4, 3), True))
        y = norm(conv(torch.relu(x), 8, 3, 2), True)
        y = norm(conv(torch.relu(y), 8, 3), True)
        x = cell(y + conv(F.avg_pool2d(x, 2), 8, 1))
        x = torch.relu(norm(x, True)).mean((2, 3))
        return x @ take((classes, 8), "linear").t() + take((classes,), "zeros")

    def declare(shape, init):
        shapes.append((shape, init))
        return make_parameter(len(shapes) - 1)

    def make_parameter(i):
        shape, init = shapes[i]
        if init in ("ones", "zeros"):
            return torch.full(shape, 1.0 if init == "ones" else 0.0)
        bound = np.float32(1 / np.sqrt(np.prod(shape[1:])))
        return torch.from_numpy((noise(9000 + i, int(np.prod(shape))) * bound).astype(np.float64).reshape(shape))

    def data(t):
        x = make(8100 + t, like((batch, 3, size, size), "noise"))
        return x, make(8200 + t, like((batch,), "labels", classes=classes))

    alpha = make(8000, like((6, 5), "noise")).requires_grad_()
    forward(data(0)[0], alpha, declare)
    parameters = [make_parameter(i).requires_grad_() for i in range(len(shapes))]
    optimizer = torch.optim.SGD(parameters, 0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    losses = []
    for t in range(steps):
        x, y = data(t)
        remaining = iter(parameters)
        loss = F.cross_entropy(forward(x, alpha, lambda shape, init: next(remaining)), y, label_smoothing=0.1)
        alpha.grad = None
        optimizer.zero_grad()
        loss.backward()
        losses.append(float(loss))
        flat = lambda vs: np.concatenate([v.detach().numpy().ravel() for v in vs]).astype(np.float32)
        if t == 0:
            tensors["network/gradient"] = flat([v.grad for v in parameters])
            tensors["network/alpha_gradient"] = flat([alpha.grad])
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    tensors["network/losses"] = np.array(losses, np.float32)
    tensors["network/parameters"] = flat(parameters)


def write(path):
    header, data = {"__metadata__": {"cases": json.dumps(cases, separators=(",", ":")), "torch": torch.__version__}}, b""
    for name in sorted(tensors):
        raw = np.ascontiguousarray(tensors[name]).tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + data)
    print(path, os.path.getsize(path), "bytes,", len(cases), "cases")


for group in (convolutions, pools, normalization, elementwise, linear, layout, reductions, losses, activations, layer_norms, dropouts, picks, powers, images, network):
    group()
write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "rules.safetensors"))
