#!/usr/bin/python3
"""Writes nasbench201.safetensors: what PyTorch computes for training steps of a NAS-Bench-201 supernet.

    /usr/bin/python3 stages/supernet/testdata/generate_nasbench201.py      (Debian: python3-torch)

The network is written after the reference code (D-X-Y/AutoDL-Projects, models/cell_searchs/search_model_darts.py), one cell a
stage, 4 channels, 4 images of 8x8; as in the Go code the normalization of the cells has no parameters and convolutions have no bias. Inputs
and weights are made by the function noise, which the Go test has too, so only results are stored. PyTorch computes in
float64.

step/...  of one training step: loss, grad_alpha, and gradients of all weights, parameters in the order of their names
sgd/...   20 steps of SGD with Nesterov momentum on the one batch: losses, last_params
adam/...  20 steps of Adam on the one batch, of weights and alpha at once, those of alpha with DARTS's settings (betas 0.5 and 0.999, weight
          decay 1e-3): losses, last_params, last_alpha
"""
import os
import torch, torch.nn as nn, torch.nn.functional as F
from generate_darts import Conv, Named, fill, save, store, tensor

EDGES = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]


class ReLUConvBN(nn.Module):
    def __init__(self, cin, cout, k, stride, affine):
        super().__init__()
        self.op, self.bn = Conv(cin, cout, k, stride), nn.BatchNorm2d(cout, affine=affine)

    def forward(self, x):
        return self.bn(self.op(F.relu(x)))


class Cell(nn.Module):
    def __init__(self, c):
        super().__init__()
        for to, source in EDGES:
            self.add_module("edge_%d_%d" % (to, source), nn.ModuleDict({"nor_conv_1x1": ReLUConvBN(c, c, 1, 1, False), "nor_conv_3x3": ReLUConvBN(c, c, 3, 1, False)}))

    def forward(self, x, w):
        states = [x]
        for node in range(1, 4):
            total = 0
            for e, (to, source) in enumerate(EDGES):
                if to != node:
                    continue
                s, ops = states[source], getattr(self, "edge_%d_%d" % (to, source))
                # The operations are none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3.
                total = total + w[e][1] * s + w[e][4] * F.avg_pool2d(s, 3, 1, 1, count_include_pad=False)
                total = total + w[e][2] * ops["nor_conv_1x1"](s) + w[e][3] * ops["nor_conv_3x3"](s)
            states.append(total)
        return states[-1]


class Residual(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv_a, self.conv_b = ReLUConvBN(cin, cout, 3, 2, True), ReLUConvBN(cout, cout, 3, 1, True)
        self.shortcut = Conv(cin, cout)

    def forward(self, x):
        return self.conv_b(self.conv_a(x)) + self.shortcut(F.avg_pool2d(x, 2))


class Network(nn.Module):
    def __init__(self, c, classes):
        super().__init__()
        self.stem = Named(weight=Conv(3, c, 3), bn=nn.BatchNorm2d(c))
        for stage in range(3):
            self.add_module("stage%d" % stage, Named(cell0=Cell(c)))
            if stage < 2:
                self.add_module("reduction%d" % stage, Residual(c, 2 * c))
                c *= 2
        self.head = nn.Module()
        self.head.bn, self.head.linear = nn.BatchNorm2d(c), nn.Linear(c, classes)

    def forward(self, x, w):
        x = self.stem(x)
        for stage in range(3):
            x = getattr(self, "stage%d" % stage).cell0(x, w)
            if stage < 2:
                x = getattr(self, "reduction%d" % stage)(x)
        return self.head.linear(F.relu(self.head.bn(x)).mean((2, 3)))


def make():
    net = Network(4, 10)
    return net, fill(net, False), tensor(1, 6, 5).requires_grad_(), tensor(2, 4, 3, 8, 8), torch.tensor([1, 5, 2, 9])


def flat(params, of):
    return torch.cat([of(p).reshape(-1) for _, ps in params for p in ps])


def steps(prefix, optimizers, net, alpha, x, y):
    losses = []
    for _ in range(20):
        for o in optimizers:
            o.zero_grad()
        loss = F.cross_entropy(net(x, F.softmax(alpha, 1)), y)
        loss.backward()
        for o in optimizers:
            o.step()
        losses.append(loss.detach())
    store(prefix, "losses", torch.stack(losses))


if __name__ == "__main__":
    net, params, alpha, x, y = make()
    loss = F.cross_entropy(net(x, F.softmax(alpha, 1)), y)
    loss.backward()
    store("step", "loss", loss)
    store("step", "grad_alpha", alpha.grad)
    store("step", "gradients", flat(params, lambda p: p.grad))

    net, params, alpha, x, y = make()
    steps("sgd", [torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)], net, alpha, x, y)
    store("sgd", "last_params", flat(params, lambda p: p))

    net, params, alpha, x, y = make()
    steps("adam", [torch.optim.Adam(net.parameters(), 1e-3), torch.optim.Adam([alpha], 3e-4, betas=(0.5, 0.999), weight_decay=1e-3)], net, alpha, x, y)
    store("adam", "last_params", flat(params, lambda p: p))
    store("adam", "last_alpha", alpha)
    save(os.path.join(os.path.dirname(os.path.abspath(__file__)), "nasbench201.safetensors"))
