#!/usr/bin/python3
"""Writes recipe.safetensors: what PyTorch makes of stand-alone networks in 10 steps of a recipe for short trainings.

    python3 stages/supernet/testdata/generate_recipe.py      (torch 2.15)

Networks of NAS-Bench-201 with one cell a stage and 4 channels, 4 images of 16x16, and each of the stems pooled, deep and whitened (see Stem in
the Go code), the last with reductions that pool. Their cells have 3x3 convolutions and one skip connection. SGD with Nesterov momentum, label smoothing, and weight decay
for the weights of convolutions and of the linear layer only; an exponential moving average of weights and running statistics by
torch.optim.swa_utils.AveragedModel, which begins with the first step's. Inputs and weights are made by the function noise, which the Go
test has too. PyTorch computes in float64.

mixed: losses and params of three steps of plain SGD of the network with the stem pooled, each image's target being 0.7 of its label
and 0.3 of another. For each stem: losses; params, averaged (of the weights, in the order of their names), running and averaged_running after the steps.
"""
import os
import torch, torch.nn as nn, torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from generate_darts import Conv, Named, fill, name_of, save, store, tensor
from generate_nasbench201 import EDGES, ReLUConvBN, Residual, flat

SKIP = (3, 0)


class Cell(nn.Module):
    def __init__(self, c):
        super().__init__()
        for to, source in EDGES:
            if (to, source) != SKIP:
                self.add_module("edge_%d_%d" % (to, source), nn.ModuleDict({"nor_conv_3x3": ReLUConvBN(c, c, 3, 1, True)}))

    def forward(self, x):
        states = [x]
        for node in range(1, 4):
            states.append(sum(states[s] if (to, s) == SKIP else getattr(self, "edge_%d_%d" % (to, s))["nor_conv_3x3"](states[s]) for to, s in EDGES if to == node))
        return states[-1]


class Pooled(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.weight, self.bn = Conv(cin, cout, 3), nn.BatchNorm2d(cout)

    def forward(self, x):
        return self.bn(F.max_pool2d(self.weight(F.relu(x)), 2))


class Whitened(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.patches = Named(weight=Conv(3, 24, 2))
        self.weight, self.bn = Conv(24, c, 3), nn.BatchNorm2d(c)

    def forward(self, x):
        x = F.conv2d(F.pad(x, (0, 1, 0, 1)), self.patches.weight.weight)
        return self.bn(F.max_pool2d(self.weight(F.relu(x)), 2))


class Network(nn.Module):
    def __init__(self, c, classes, stem):
        super().__init__()
        pool = nn.MaxPool2d(2)
        if stem == "deep":
            first = Named(weight=Conv(3, c // 2, 3), bn=nn.BatchNorm2d(c // 2), relu=nn.ReLU())
            self.stem = Named(first=first, weight=Conv(c // 2, c, 3), bn=nn.BatchNorm2d(c), pool=pool)
        elif stem == "whitened":
            self.stem = Whitened(c)
        else:
            self.stem = Named(weight=Conv(3, c, 3), bn=nn.BatchNorm2d(c), pool=pool)
        for stage in range(3):
            self.add_module("stage%d" % stage, Named(cell0=Cell(c)))
            if stage < 2:
                self.add_module("reduction%d" % stage, (Pooled if stem == "whitened" else Residual)(c, 2 * c))
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


def named(n):
    return name_of(n).replace(".weight.weight", ".weight")


def recipe(stem):
    net = Network(4, 10, stem)
    params = fill(net, False)
    x, y = tensor(2, 4, 3, 16, 16), torch.tensor([1, 5, 2, 9])
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.75), use_buffers=True)
    weights, spared = [p for p in net.parameters() if p.dim() > 1], [p for p in net.parameters() if p.dim() == 1]
    sgd = torch.optim.SGD([{"params": weights, "weight_decay": 0.05}, {"params": spared, "weight_decay": 0}], 0.02, momentum=0.9, nesterov=True)
    losses = []
    for _ in range(10):
        sgd.zero_grad()
        loss = F.cross_entropy(net(x), y, label_smoothing=0.1)
        loss.backward()
        sgd.step()
        average.update_parameters(net)
        losses.append(loss.detach())
    store(stem, "losses", torch.stack(losses))
    store(stem, "params", flat(params, lambda p: p))
    averaged = dict((named(n), p) for n, p in average.module.named_parameters())
    store(stem, "averaged", torch.cat([averaged[n.replace(".weight.weight", ".weight")].reshape(-1) for n, _ in params]))
    for name, module in (("running", net), ("averaged_running", average.module)):
        buffers = sorted((named(n), b) for n, b in module.named_buffers() if "running" in n)
        store(stem, name, torch.cat([b for _, b in buffers]))


def mixed():
    """Three steps with a target of 0.7 of one label and 0.3 of another."""
    net = Network(4, 10, "pooled")
    params = fill(net, False)
    x, y, other = tensor(2, 4, 3, 16, 16), torch.tensor([1, 5, 2, 9]), torch.tensor([9, 2, 5, 1])
    target = 0.7 * F.one_hot(y, 10) + 0.3 * F.one_hot(other, 10)
    sgd = torch.optim.SGD(net.parameters(), 0.02)
    losses = []
    for _ in range(3):
        sgd.zero_grad()
        loss = F.cross_entropy(net(x), target, label_smoothing=0.1)
        loss.backward()
        sgd.step()
        losses.append(loss.detach())
    store("mixed", "losses", torch.stack(losses))
    store("mixed", "params", flat(params, lambda p: p))


if __name__ == "__main__":
    mixed()
    recipe("pooled")
    recipe("deep")
    recipe("whitened")
    save(os.path.join(os.path.dirname(os.path.abspath(__file__)), "recipe.safetensors"))
