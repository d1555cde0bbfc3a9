#!/usr/bin/python3
"""Writes darts.safetensors: what PyTorch computes for a training step of networks of the DARTS space.

    /usr/bin/python3 stages/supernet/testdata/generate_darts.py      (Debian: python3-torch)

The networks are written after the reference code (quark0/darts, cnn/model_search.py and cnn/model.py). Inputs and weights are made
by the function noise, which the Go test has too, so only results are stored. PyTorch computes in float64.

supernet/...  the weight-sharing supernet, 3 cells of 2 channels, 4 images of 16x16
network/...   DARTS_V2 with auxiliary head (weight 0.4) and drop path, 3 cells of 2 channels, 3 images of 32x32

For each: loss, grad_alpha (supernet), auxiliary_loss and running (network: the statistics after the step, in the order of
their names), and gradients: of each parameter, in the order of names, every k-th element, k = elements // 512 + 1. Of the supernet also losses: those of 20 steps of SGD with
momentum on the one batch, and last_params (every 97th weight) after them.
"""
import json, os, re, struct
import numpy as np
import torch, torch.nn as nn, torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
OPS = ["none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]


def noise(seed, count):
    """Numbers in [-1, 1) that any language can make: a hash of seed and index."""
    mask = np.uint64(0xFFFFFFFF)
    h = (np.arange(count, dtype=np.uint64) * np.uint64(2654435761) + np.uint64(seed) * np.uint64(40503)) & mask
    h = ((h ^ (h >> np.uint64(15))) * np.uint64(2246822519)) & mask
    h = ((h ^ (h >> np.uint64(13))) * np.uint64(3266489917)) & mask
    h ^= h >> np.uint64(16)
    return (h.astype(np.float64) / 2147483648.0 - 1.0).astype(np.float32)


def tensor(seed, *shape):
    return torch.from_numpy(noise(seed, int(np.prod(shape))).astype(np.float64).reshape(shape))


class Named(nn.Module):
    """A module of named children, applied one after the other. The names are those of the Go code's scopes."""

    def __init__(self, **children):
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, x):
        for child in self.children():
            x = child(x)
        return x


class Conv(nn.Conv2d):
    def __init__(self, cin, cout, k=1, stride=1, dilation=1, groups=1, padding=None):
        super().__init__(cin, cout, k, stride, dilation * (k - 1) // 2 if padding is None else padding, dilation, groups, bias=False)


class ReLUConvBN(nn.Module):
    def __init__(self, cin, cout, affine):
        super().__init__()
        self.op = Conv(cin, cout)
        self.bn = nn.BatchNorm2d(cout, affine=affine)

    def forward(self, x):
        return self.bn(self.op(F.relu(x)))


class FactorizedReduce(nn.Module):
    def __init__(self, cin, cout, affine):
        super().__init__()
        self.even, self.odd = Conv(cin, cout // 2, stride=2), Conv(cin, cout // 2, stride=2)
        self.bn = nn.BatchNorm2d(cout, affine=affine)

    def forward(self, x):
        x = F.relu(x)
        return self.bn(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], 1))


class Separable(Named):
    def __init__(self, c, k, stride, dilation, affine):
        super().__init__(relu=nn.ReLU(), depthwise=Conv(c, c, k, stride, dilation, c), pointwise=Conv(c, c), bn=nn.BatchNorm2d(c, affine=affine))


def operation(name, c, stride, affine):
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, 1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(c, c, affine)
    k = int(name[-1])
    if name.startswith("sep"):
        return Named(a=Separable(c, k, stride, 1, affine), b=Separable(c, k, 1, 1, affine))
    return Separable(c, k, stride, 2, affine)


class Cell(nn.Module):
    """chosen(node, reduce) yields the pairs (input, operations) of a node."""

    def __init__(self, cpp, cp, c, reduce, after, affine, chosen):
        super().__init__()
        self.reduce = reduce
        self.preprocess0 = FactorizedReduce(cpp, c, affine) if after else ReLUConvBN(cpp, c, affine)
        self.preprocess1 = ReLUConvBN(cp, c, affine)
        self.terms = []
        for node in range(2, 6):
            for j, names in chosen(node, reduce):
                edge = nn.ModuleDict()
                for name in names:
                    stride = 2 if reduce and j < 2 else 1
                    op = operation(name, c, stride, affine) if name != "none" else None
                    if op is not None and not affine and "pool" in name:
                        op = Named(pool=op, bn=nn.BatchNorm2d(c, affine=False))
                    if op is not None:
                        edge[name] = op
                self.add_module("edge_%d_%d" % (node, j), edge)
                self.terms.append((node, j, edge, names))

    def forward(self, s0, s1, apply):
        states = [self.preprocess0(s0), self.preprocess1(s1)]
        for node in range(2, 6):
            states.append(sum(apply(k, self.reduce, edge, states[j]) for k, (n, j, edge, _) in enumerate(self.terms) if n == node))
        return torch.cat(states[2:], 1)


class Network(nn.Module):
    def __init__(self, c, layers, affine, chosen, auxiliary, classes=10):
        super().__init__()
        cur, self.layers = 3 * c, layers
        self.stem = Named(weight=Conv(3, cur, 3), bn=nn.BatchNorm2d(cur))
        cpp, cp, cur, after = cur, cur, c, False
        for i in range(layers):
            reduce = i in (layers // 3, 2 * layers // 3)
            cur *= 2 if reduce else 1
            self.add_module("cell%d" % i, Cell(cpp, cp, cur, reduce, after, affine, chosen))
            after, cpp, cp = reduce, cp, 4 * cur
            if auxiliary and i == 2 * layers // 3:
                self.auxiliary = nn.Module()
                self.auxiliary.conv_a = Named(conv=Conv(cp, 128), bn=nn.BatchNorm2d(128))
                self.auxiliary.conv_b = Named(conv=Conv(128, 768, 2, padding=0), bn=nn.BatchNorm2d(768))
                self.auxiliary.linear = nn.Linear(768, classes)
        self.head = nn.Module()
        self.head.linear = nn.Linear(cp, classes)

    def forward(self, x, apply):
        s0 = s1 = self.stem(x)
        second = None
        for i in range(self.layers):
            s0, s1 = s1, getattr(self, "cell%d" % i)(s0, s1, apply)
            if hasattr(self, "auxiliary") and i == 2 * self.layers // 3:
                a = self.auxiliary
                second = a.conv_a(F.avg_pool2d(F.relu(s1), 5, 3, 0, count_include_pad=False))
                second = a.linear(F.relu(a.conv_b(F.relu(second))).flatten(1))
        return self.head.linear(s1.mean((2, 3))), second


def name_of(torch_name):
    """The Go code's name of a parameter or buffer."""
    for old, new in [(".op.weight", ".weight"), (".conv.weight", ".weight"), ("stem.weight.weight", "stem.weight")]:
        torch_name = torch_name.replace(old, new)
    return torch_name


def fill(net, stacked):
    """Weights by noise, with the seed 1000 + place in the order of names. The Go code's supernet keeps the weights of all edges
    that leave a state in one parameter, one edge after the other: stacked. Returns names and lists of parameters."""
    groups = {}
    for n, p in net.named_parameters():
        n = name_of(n)
        groups.setdefault(re.sub(r"edge_\d_(\d)", r"state\1", n) if stacked else n, []).append(p)
    params = sorted(groups.items())
    for i, (n, ps) in enumerate(params):
        v = tensor(1000 + i, sum(len(p) for p in ps), *ps[0].shape[1:])
        v = 1 + v / 4 if n.endswith("bn.weight") else v / 4 if v.dim() == 1 else v / np.sqrt(v[0].numel())
        for p, part in zip(ps, v.split([len(p) for p in ps])):
            p.data = part.clone()
    return params


tensors = {}


def store(prefix, name, v):
    tensors[prefix + "/" + name] = np.atleast_1d(v.detach().numpy()).astype(np.float32)


def gradients(prefix, params):
    flat = [torch.cat([p.grad.reshape(-1) for p in ps]) for _, ps in params]
    store(prefix, "gradients", torch.cat([v[:: v.numel() // 512 + 1] for v in flat]))


def supernet():
    edges = lambda node, reduce: [(j, OPS) for j in range(node)]
    net = Network(2, 3, False, edges, False)
    params = fill(net, True)
    alpha = tensor(1, 2, 14, 8).requires_grad_()
    x, y = tensor(2, 4, 3, 16, 16), torch.tensor([1, 5, 2, 9])

    def run():
        w = F.softmax(alpha, 2)

        def apply(k, reduce, edge, s):
            row = w[1 if reduce else 0][k]
            return sum(row[OPS.index(name)] * op(s) for name, op in edge.items())

        return F.cross_entropy(net(x, apply)[0], y)

    loss = run()
    loss.backward()
    store("supernet", "loss", loss)
    store("supernet", "grad_alpha", alpha.grad)
    gradients("supernet", params)
    opt, losses = torch.optim.SGD(net.parameters(), 0.001, momentum=0.9, weight_decay=3e-4), []
    for _ in range(20):
        opt.zero_grad()
        loss = run()
        loss.backward()
        opt.step()
        losses.append(loss.detach())
    store("supernet", "losses", torch.stack(losses))
    store("supernet", "last_params", torch.cat([p.reshape(-1) for _, ps in params for p in ps])[::97])


def network():
    m, k, s, d = "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3"
    normal = [(s, 0), (s, 1), (s, 0), (s, 1), (s, 1), (k, 0), (k, 0), (d, 2)]
    reduction = [(m, 0), (m, 1), (k, 2), (m, 1), (m, 0), (k, 2), (k, 2), (m, 1)]

    def chosen(node, reduce):
        pairs = (reduction if reduce else normal)[2 * (node - 2):2 * (node - 1)]
        return [(j, [name]) for name, j in pairs]

    net = Network(2, 3, True, chosen, True)
    params = fill(net, False)
    x, y = tensor(2, 3, 3, 32, 32), torch.tensor([1, 5, 2])
    rows = [0]

    def apply(k, reduce, edge, s):
        (name, op), = edge.items()
        h = op(s)
        if isinstance(op, nn.Identity):
            return h
        mask = (tensor(5000 + rows[0], 3) > -0.5).double() / 0.75  # a quarter is dropped
        rows[0] += 1
        return h * mask.reshape(3, 1, 1, 1)

    logits, second = net(x, apply)
    loss, more = F.cross_entropy(logits, y), F.cross_entropy(second, y)
    (loss + 0.4 * more).backward()
    store("network", "loss", loss)
    store("network", "auxiliary_loss", more)
    store("network", "drops", torch.tensor(float(rows[0])))
    gradients("network", params)
    buffers = sorted((name_of(n), b) for n, b in net.named_buffers() if "running" in n)
    store("network", "running", torch.cat([b for _, b in buffers]))


def save(path):
    header, data, at = {}, b"", 0
    for name in sorted(tensors):
        v = np.ascontiguousarray(tensors[name], dtype="<f4")
        header[name] = {"dtype": "F32", "shape": list(v.shape), "data_offsets": [at, at + v.nbytes]}
        data, at = data + v.tobytes(), at + v.nbytes
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    supernet()
    network()
    save(os.path.join(os.path.dirname(os.path.abspath(__file__)), "darts.safetensors"))
