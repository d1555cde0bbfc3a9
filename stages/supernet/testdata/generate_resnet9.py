#!/usr/bin/python3
"""Writes resnet9.safetensors: what PyTorch computes for ResNet-9.

    /usr/bin/python3 stages/supernet/testdata/generate_resnet9.py      (Debian: python3-torch)

The network is that of Page, "How to train your ResNet" (2018), without the factor on its logits: width 4, 4 images of 20x16, so that
one pool leaves a row out. Inputs and weights are made by the function noise, which the Go test has too, so only results are stored.
PyTorch computes in float64.

step/...       of one training step: logits, loss, gradients of all weights (parameters in the order of their names), and running, the
               running statistics behind it, in the order of their names
sgd/...        5 steps of SGD with Nesterov momentum on the one batch: losses, last_params
parameters/... how many there are at width 16 and 64 and 10 classes
"""
import os
import torch, torch.nn as nn, torch.nn.functional as F
from generate_darts import Conv, Named, fill, save, store, tensor


class ConvNormReLU(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.op, self.bn = Conv(cin, cout, 3), nn.BatchNorm2d(cout)

    def forward(self, x):
        return F.relu(self.bn(self.op(x)))


class Layer(nn.Module):
    def __init__(self, cin, cout, residual):
        super().__init__()
        self.widen = ConvNormReLU(cin, cout)
        if residual:
            self.residual_a, self.residual_b = ConvNormReLU(cout, cout), ConvNormReLU(cout, cout)
        self.residual = residual

    def forward(self, x):
        x = F.max_pool2d(self.widen(x), 2)
        return x + self.residual_b(self.residual_a(x)) if self.residual else x


class ResNet9(nn.Module):
    def __init__(self, w, classes):
        super().__init__()
        self.prep = ConvNormReLU(3, w)
        self.layer1, self.layer2, self.layer3 = Layer(w, 2 * w, True), Layer(2 * w, 4 * w, False), Layer(4 * w, 8 * w, True)
        self.head = nn.Module()
        self.head.linear = nn.Linear(8 * w, classes)

    def forward(self, x):
        return self.head.linear(self.layer3(self.layer2(self.layer1(self.prep(x)))).amax((2, 3)))


def make():
    net = ResNet9(4, 10)
    return net, fill(net, False), tensor(2, 4, 3, 20, 16), torch.tensor([1, 5, 2, 9])


def flat(params, of):
    return torch.cat([of(p).reshape(-1) for _, ps in params for p in ps])


if __name__ == "__main__":
    net, params, x, y = make()
    logits = net(x)
    loss = F.cross_entropy(logits, y)
    loss.backward()
    store("step", "logits", logits)
    store("step", "loss", loss)
    store("step", "gradients", flat(params, lambda p: p.grad))
    store("step", "running", torch.cat([b for n, b in sorted(net.named_buffers()) if "running" in n]))

    net, params, x, y = make()
    optimizer, losses = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, nesterov=True, weight_decay=5e-4), []
    for _ in range(5):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    store("sgd", "losses", torch.stack(losses))
    store("sgd", "last_params", flat(params, lambda p: p))
    for width in (16, 64):
        store("parameters", str(width), torch.tensor(float(sum(p.numel() for p in ResNet9(width, 10).parameters()))))
    save(os.path.join(os.path.dirname(os.path.abspath(__file__)), "resnet9.safetensors"))
