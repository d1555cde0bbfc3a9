#!/usr/bin/python3
"""Writes torch.json: the zero-cost proxies of two small NAS-Bench-201 networks as PyTorch computes them.

    /usr/bin/python3 stages/score/proxy/testdata/generate.py      (Debian: python3-torch)

The proxies are written after their definitions (SamsungLabs/zero-cost-nas, foresight/pruners/measures), the networks after the
reference code of the space, one cell a stage, 4 channels, 6 images of 8x8; newer ones on two batches of 30, after the authors' code:
naswot (BayesWatch/nas-without-training, score_networks.py, of which activations that no gradient passes are no part), swap
(pym1024/SWAP, src/metrics/swap.py, of the same activations), zico (SLDGroup/ZiCo, ZeroShotProxy/compute_zico.py), expressivity,
progressivity, trainability (cvlab-yonsei/AZ-NAS, NB201/ZeroShotProxy/compute_az_nas_score.py, with signs by noise), zen
(idstcv/ZenNAS, ZeroShotProxy/compute_zen_score.py, for given weights and images, of the normalizations that gradients pass). Weights and images are made by the function noise of
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

    def blocks(self, x):
        out = [self.stem(x)]
        for stage in range(3):
            out.append(getattr(self, "stage%d" % stage)(out[-1]))
            if stage < 2:
                out.append(getattr(self, "reduction%d" % stage)(out[-1]))
        return out

    def forward(self, x):
        x = self.blocks(x)[-1]
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


def operations(text):
    return [part.split("~")[0] for part in text.replace("+", "").split("|") if part]


def activations(net, x):
    """Results of ReLU that the logits depend on, [images, elements] each."""
    seen, relu = [], F.relu
    F.relu = lambda v: seen.append(relu(v)) or seen[-1]
    logits = net(x)
    F.relu = relu
    gs = torch.autograd.grad(logits.sum(), seen, allow_unused=True)
    return [v.detach().flatten(1) for v, g in zip(seen, gs) if g is not None]


def zen(text):
    """The Zen-score of one draw of weights and images."""
    net = Network(4, 10, operations(text))
    fill(net, False)
    pooled = lambda x: F.relu(net.head.bn(net.blocks(x)[-1]))
    x = tensor(5, 30, 3, 8, 8)
    with torch.no_grad():
        score = (pooled(x) - pooled(x + 0.01 * tensor(6, 30, 3, 8, 8))).abs().sum((1, 2, 3)).mean().log()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    variances = [m.running_var.clone() for m in norms]
    used = torch.autograd.grad(net(x).sum(), [m.bias for m in norms], allow_unused=True)
    return float(score + sum(v.mean().sqrt().log() for v, g in zip(variances, used) if g is not None))


def newer(text):
    net = Network(4, 10, operations(text))
    fill(net, False)
    n = 30
    x, y = tensor(3, n, 3, 8, 8), torch.tensor([7 * i % 10 for i in range(n)])
    x2, y2 = tensor(4, n, 3, 8, 8), torch.tensor([(3 * i + 1) % 10 for i in range(n)])
    active = [(a > 0).double() for a in activations(net, x)]
    k = sum(a @ a.t() + (1 - a) @ (1 - a.t()) for a in active)
    out = {"naswot": np.linalg.slogdet(k.numpy())[1]}
    out["swap"] = torch.unique(torch.cat(active, 1).sign().t(), dim=0).size(0)
    ws = [m.weight for m in layers(net)]
    both = [gradients(F.cross_entropy(net(i), l), ws) for i, l in ((x, y), (x2, y2))]
    zico = 0
    for pair in zip(*both):
        g = np.array([p.reshape(-1).numpy() for p in pair])
        std = np.std(g, axis=0)
        some = np.nonzero(std)[0]
        ratio = np.sum(np.mean(np.abs(g), axis=0)[some] / std[some])
        zico += np.log(ratio) if ratio != 0 else 0
    out["zico"] = zico
    blocks = net.blocks(x)
    entropies = []
    for b in blocks:
        rows = b.detach().permute(0, 2, 3, 1).reshape(-1, b.shape[1])
        rows = rows - rows.mean(0, keepdim=True)
        s = torch.linalg.eigvalsh(rows.t() @ rows / len(rows))
        share = s / s.sum()
        entropies.append(float((-share * torch.log(share + 1e-8)).sum()))
    out["expressivity"], out["progressivity"] = sum(entropies), min(b - a for a, b in zip(entropies, entropies[1:]))
    scores = []
    for i in range(1, len(blocks)):
        signs = tensor(100 + i, *blocks[i].shape).sign()
        g = torch.autograd.grad(blocks[i], blocks[i - 1], signs, retain_graph=True)[0]
        if g.shape[2:] != signs.shape[2:]:
            g = F.pixel_unshuffle(g, g.shape[2] // signs.shape[2])
        s = signs.permute(0, 2, 3, 1).reshape(-1, signs.shape[1])
        g = g.permute(0, 2, 3, 1).reshape(-1, g.shape[1])
        largest = torch.linalg.svdvals(g.t() @ s / len(s)).max()
        scores.append(float(-largest - 1 / (largest + 1e-6) + 2))
    out["trainability"] = float(np.mean(scores))
    out["zen"] = zen(text)
    return {k: float(v) for k, v in out.items()}


def proxies(text):
    net = Network(4, 10, operations(text))
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
    out["smoothness"] = -np.log(np.linalg.norm(xs.grad.numpy()))
    out["jacob_cov"] = -np.sum(np.log(v + 1e-5) + 1.0 / (v + 1e-5))
    without_norm(net)
    for p in net.parameters():
        p.data.abs_()
    ws = [m.weight for m in layers(net)]
    out["synflow"] = sum((w * g).abs().sum() for w, g in zip(ws, gradients(net(torch.ones(1, 3, 8, 8)).sum(), ws)))
    return {k: float(v) for k, v in out.items()}


if __name__ == "__main__":
    with open(os.path.join(here, "torch.json"), "w") as f:
        json.dump({a: {**proxies(a), **newer(a)} for a in ARCHITECTURES}, f, indent=2, sort_keys=True)
        f.write("\n")
