#!/usr/bin/python3
"""Writes partial.safetensors: what PyTorch computes for supernets with partial channels and edge weights.

    /usr/bin/python3 stages/supernet/testdata/generate_partial.py      (Debian: python3-torch)

Written after the reference code of PC-DARTS (yuhuixu1993/PC-DARTS, model_search.py: channel_shuffle, MixedOp, Cell), with one in two
channels given to the operations. Inputs and weights are made by the function noise; PyTorch computes in float64.

nasbench201/...  the supernet of generate_nasbench201.py: loss, gradients (as in generate_darts.py), grad_alpha, grad_beta
darts/...        that of generate_darts.py, with 4 channels: loss, gradients (as there), grad_alpha, grad_beta

alpha is noise 1, beta is noise 3: one number an edge, of which the softmax is taken over the edges of a node.
"""
import os
import torch, torch.nn.functional as F
import generate_darts as d
import generate_nasbench201 as n
from generate_darts import fill, save, store, tensor

K = 2


def shuffle(x):
    b, c, h, w = x.shape
    return x.view(b, K, c // K, h, w).transpose(1, 2).reshape(b, c, h, w)


def mixed(x, ops):
    """ops applies the weighted operations."""
    own, past = x[:, :x.shape[1] // K], x[:, x.shape[1] // K:]
    y = ops(own)
    return shuffle(torch.cat([y, past if y.shape[2] == x.shape[2] else F.max_pool2d(past, 2, 2)], 1))


class Cell(n.Cell):
    def __init__(self, c):
        super().__init__(c // K)

    def forward(self, x, given):
        w, b = given
        states = [x]
        for node in range(1, 4):
            total = 0
            for e, (to, source) in enumerate(n.EDGES):
                if to != node:
                    continue
                ops = getattr(self, "edge_%d_%d" % (to, source))

                def apply(s):
                    y = w[e][1] * s + w[e][4] * F.avg_pool2d(s, 3, 1, 1, count_include_pad=False)
                    return y + w[e][2] * ops["nor_conv_1x1"](s) + w[e][3] * ops["nor_conv_3x3"](s)

                total = total + b[e] * mixed(states[source], apply)
            states.append(total)
        return states[-1]


def edge_weights(beta, nodes):
    return torch.cat([F.softmax(part, 0) for part in beta.split(nodes)])


def nasbench201():
    n.Cell = Cell
    net = n.Network(4, 10)
    params = fill(net, False)
    alpha, beta = tensor(1, 6, 5).requires_grad_(), tensor(3, 6).requires_grad_()
    x, y = tensor(2, 4, 3, 8, 8), torch.tensor([1, 5, 2, 9])
    loss = F.cross_entropy(net(x, (F.softmax(alpha, 1), edge_weights(beta, [1, 2, 3]))), y)
    loss.backward()
    d.gradients("nasbench201", params)
    for name, v in [("loss", loss), ("grad_alpha", alpha.grad), ("grad_beta", beta.grad)]:
        store("nasbench201", name, v)


def darts():
    whole = d.operation
    # preprocess0, preprocess1 and the stem keep all channels; only operations have fewer.
    d.operation = lambda name, c, stride, affine: whole(name, c // K, stride, affine)
    # The normalization behind pools has no parameters, but is made for a number of channels.
    norm = d.nn.BatchNorm2d
    cell = d.Cell.__init__

    def init(self, cpp, cp, c, reduce, after, affine, chosen):
        cell(self, cpp, cp, c, reduce, after, affine, chosen)
        for _, _, edge, _ in self.terms:
            for name, op in edge.items():
                if "pool" in name:
                    op.bn = norm(c // K, affine=False)

    d.Cell.__init__ = init
    net = d.Network(4, 3, False, lambda node, reduce: [(j, d.OPS) for j in range(node)], False)
    params = fill(net, True)
    alpha, beta = tensor(1, 2, 14, 8).requires_grad_(), tensor(3, 2, 14).requires_grad_()
    x, y = tensor(2, 4, 3, 16, 16), torch.tensor([1, 5, 2, 9])
    w, b = F.softmax(alpha, 2), [edge_weights(v, [2, 3, 4, 5]) for v in beta]

    def apply(k, reduce, edge, s):
        i = 1 if reduce else 0
        return b[i][k] * mixed(s, lambda own: sum(w[i][k][d.OPS.index(name)] * op(own) for name, op in edge.items()))

    loss = F.cross_entropy(net(x, apply)[0], y)
    loss.backward()
    d.gradients("darts", params)
    for name, v in [("loss", loss), ("grad_alpha", alpha.grad), ("grad_beta", beta.grad)]:
        store("darts", name, v)


if __name__ == "__main__":
    nasbench201()
    darts()
    save(os.path.join(os.path.dirname(os.path.abspath(__file__)), "partial.safetensors"))
