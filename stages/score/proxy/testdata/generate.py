#!/usr/bin/python3
"""Writes torch.json: the zero-cost proxies of two small NAS-Bench-201 networks as PyTorch computes them.

    /usr/bin/python3 stages/score/proxy/testdata/generate.py      (Debian: python3-torch)

The proxies are written after their definitions (SamsungLabs/zero-cost-nas, foresight/pruners/measures), the networks after the
reference code of the space, one cell a stage, 4 channels, 6 images of 8x8. Weights and images are made by the function noise of
stages/supernet/testdata, which the Go test has too. PyTorch computes in float64.
"""
import json, os, sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "..", "supernet", "testdata"))
import numpy as np
import torch, torch.nn as nn, torch.nn.functional as F
from generate_darts import Conv, Named, fill, tensor
from generate_nasbench201 import EDGES, ReLUConvBN, Residual

ARCHITECTURES = [
    "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|",
    "|avg_pool_3x3~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|nor_conv_3x3~2|",
]


class Cell(nn.Module):
    def __init__(self, c, ops):
        super().__init__()
        self.ops = ops
        for (to, source), op in zip(EDGES, ops):
            if op.startswith("nor_conv"):
                name = "edge_%d_%d" % (to, source)
                self.add_module(name, nn.ModuleDict({op: ReLUConvBN(c, c, int(op[-1]), 1, True)}))

    def forward(self, x):
        states = [x]
        for node in range(1, 4):
            total = 0 * x
            for (to, source), op in zip(EDGES, self.ops):
                if to != node or op == "none":
                    continue
                s = states[source]
                if op == "skip_connect":
                    total = total + s
                elif op == "avg_pool_3x3":
                    total = total + F.avg_pool2d(s, 3, 1, 1, count_include_pad=False)
                else:
                    total = total + getattr(self, "edge_%d_%d" % (to, source))[op](s)
            states.append(total)
        return states[-1]


class Network(nn.Module):
    def __init__(self, c, classes, ops):
        super().__init__()
        self.stem = Named(weight=Conv(3, c, 3), bn=nn.BatchNorm2d(c))
        for stage in range(3):
            self.add_module("stage%d" % stage, Named(cell0=Cell(c, ops)))
            if stage < 2:
                self.add_module("reduction%d" % stage, Residual(c, 2 * c))
                c *= 2
        self.head = nn.Module()
        self.head.bn, self.head.linear = nn.BatchNorm2d(c), nn.Linear(c, classes)

    def forward(self, x):
        x = self.stem(x)
        for stage in range(3):
            x = getattr(self, "stage%d" % stage)(x)
            if stage < 2:
                x = getattr(self, "reduction%d" % stage)(x)
        return self.head.linear(F.relu(self.head.bn(x)).mean((2, 3)))


def layers(net):
    return [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def without_norm(module):
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.Identity())
        else:
            without_norm(child)


def gradients(y, xs, **how):
    """Gradients, zero for layers that lead nowhere."""
    return [torch.zeros_like(x) if g is None else g for x, g in zip(xs, torch.autograd.grad(y, xs, allow_unused=True, **how))]


def proxies(text):
    ops = [part.split("~")[0] for part in text.replace("+", "").split("|") if part]
    net = Network(4, 10, ops)
    fill(net, False)
    x, y = tensor(2, 6, 3, 8, 8), torch.tensor([1, 5, 2, 9, 0, 1])
    ws = [m.weight for m in layers(net)]
    acts = []
    hooks = [m.register_forward_hook(lambda m, i, o: acts.append((m, o))) for m in layers(net)]
    loss = F.cross_entropy(net(x), y)
    for h in hooks:
        h.remove()
    gs = gradients(loss, ws, create_graph=True)
    out = {
        "grad_norm": sum(g.norm() for g in gs),
        "snip": sum((w * g).abs().sum() for w, g in zip(ws, gs)),
        "plain": sum((w * g).sum() for w, g in zip(ws, gs)),
    }
    z = sum((g.detach() * g).sum() for g in gs)
    out["grasp"] = sum(-(w * h).sum() for w, h in zip(ws, gradients(z, ws, retain_graph=True)))
    fisher = 0
    for (m, a), g in zip(acts, gradients(loss, [a for _, a in acts])):
        s = a * g
        s = s.sum((2, 3)) if s.dim() == 4 else s
        fisher += (s.pow(2).mean(0) * 0.5 * m.weight[0].numel()).sum()
    out["fisher"] = fisher
    xs = x.clone().requires_grad_()
    net(xs).backward(torch.ones(6, 10))
    v, _ = np.linalg.eig(np.corrcoef(xs.grad.reshape(6, -1).numpy()))
    out["jacob_cov"] = -np.sum(np.log(v + 1e-5) + 1.0 / (v + 1e-5))
    without_norm(net)
    for p in net.parameters():
        p.data.abs_()
    ws = [m.weight for m in layers(net)]
    out["synflow"] = sum((w * g).abs().sum() for w, g in zip(ws, gradients(net(torch.ones(1, 3, 8, 8)).sum(), ws)))
    return {k: float(v) for k, v in out.items()}


if __name__ == "__main__":
    with open(os.path.join(here, "torch.json"), "w") as f:
        json.dump({a: proxies(a) for a in ARCHITECTURES}, f, indent=2, sort_keys=True)
        f.write("\n")
