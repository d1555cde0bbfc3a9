#!/usr/bin/python3
"""Writes gradients.safetensors: what PyTorch computes for steps of alpha.

    /usr/bin/python3 stages/search/testdata/generate_gradients.py      (Debian: python3-torch)

The network is that of stages/supernet/testdata/generate_nasbench201.py with 2 channels, on 8 images of 12x12. Inputs and weights are made by the
function noise, which the Go test has too; PyTorch computes in float64.

second/grad_alpha     second order, after quark0/darts, cnn/architect.py (unrolled, without Nesterov): alpha noise 1, validation images noise 2,
                      training images noise 5, momentum noise 7 / 10 in the order of the parameters' names, rate 0.25, momentum 0.9, decay 5e-4
a2m/grad_alpha        the sharpness step of A2M with rho 0.1 and eps 0.01
pc/grad_alpha, _beta  of the loss at softmax(alpha) times the softmax of beta (noise 3) over the edges of a node
gdas/grad_alpha       straight-through Gumbel-softmax, temperature 0.5; the uniform variables are (noise 9 + 1) / 2
drnas/sample          of Dirichlet distributions with concentrations elu(alpha) + 1
drnas/grad_alpha      of the loss at the sample
dirichlet/...         rows of 5: concentrations, samples x, outputs' gradients (noise 11) and the gradients by the concentrations
                      that rsample's backward pass gives
anchor/...            divergence from concentrations of 1, summed over the rows, and its gradient
"""
import os, sys
import torch, torch.nn.functional as F
from torch.distributions import Dirichlet, kl_divergence
from torch.distributions.dirichlet import _Dirichlet_backward

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../supernet/testdata"))
import generate_darts as d
import generate_nasbench201 as n
from generate_darts import fill, save, store, tensor

Y, Y_TRAIN = torch.tensor([1, 5, 2, 9, 0, 3, 7, 4]), torch.tensor([0, 1, 2, 3, 4, 5, 6, 7])
RATE, MOMENTUM, DECAY = 0.25, 0.9, 5e-4


def make():
    net = n.Network(2, 10)
    params = [p for _, ps in fill(net, False) for p in ps]
    return net, params, tensor(1, 6, 5).requires_grad_(), tensor(2, 8, 3, 12, 12), tensor(5, 8, 3, 12, 12)


def softmax(alpha):
    return F.softmax(alpha, 1)


def flat(values):
    return torch.cat([v.reshape(-1) for v in values])


def load(params, vector):
    for p, v in zip(params, vector.split([p.numel() for p in params])):
        p.data = v.view_as(p).clone()


def second():
    net, params, alpha, x, xt = make()
    train = lambda: F.cross_entropy(net(xt, softmax(alpha)), Y_TRAIN)
    w, m = flat(params).detach(), tensor(7, sum(p.numel() for p in params)) / 10
    gradient = flat(torch.autograd.grad(train(), params))
    load(params, w - RATE * (MOMENTUM * m + gradient + DECAY * w))
    grads = torch.autograd.grad(F.cross_entropy(net(x, softmax(alpha)), Y), [alpha] + params)
    v = flat(grads[1:])
    r = 0.01 / v.norm()
    by_alpha = []
    for sign in (1, -1):
        load(params, w + sign * r * v)
        by_alpha.append(torch.autograd.grad(train(), alpha)[0])
    store("second", "grad_alpha", grads[0] - RATE * (by_alpha[0] - by_alpha[1]) / (2 * r))


def a2m(rho=0.1, eps=0.01):
    net, _, alpha, x, _ = make()

    def gradient(at):
        at = at.detach().requires_grad_()
        return torch.autograd.grad(F.cross_entropy(net(x, softmax(at)), Y), at)[0]

    up = alpha + rho * gradient(alpha)
    g = gradient(up)
    store("a2m", "grad_alpha", g + rho * (gradient(up + eps * g) - gradient(up - eps * g)) / (2 * eps))


def others():
    net, _, alpha, x, _ = make()
    beta = tensor(3, 6).requires_grad_()
    edges = torch.cat([F.softmax(part, 0) for part in beta.split([1, 2, 3])])
    # All that a network without partial channels makes of the weight of an edge is a factor of its operations.
    F.cross_entropy(net(x, softmax(alpha) * edges[:, None]), Y).backward()
    store("pc", "grad_alpha", alpha.grad)
    store("pc", "grad_beta", beta.grad)

    net, _, alpha, x, _ = make()
    u = (tensor(9, 6, 5) + 1) / 2
    soft = F.softmax((alpha - torch.log(-torch.log(u))) / 0.5, 1)
    hard = F.one_hot(soft.argmax(1), 5).to(soft)
    F.cross_entropy(net(x, hard - soft.detach() + soft), Y).backward()
    store("gdas", "grad_alpha", alpha.grad)

    net, _, alpha, x, _ = make()
    torch.manual_seed(1)
    sample = Dirichlet(F.elu(alpha) + 1).rsample().detach().float().double().requires_grad_()
    F.cross_entropy(net(x, sample), Y).backward()
    c = F.elu(alpha) + 1
    by_alpha = torch.autograd.grad(c, alpha, _Dirichlet_backward(sample.detach(), c.detach(), sample.grad))[0]
    store("drnas", "sample", sample)
    store("drnas", "grad_alpha", by_alpha)


def dirichlet():
    torch.manual_seed(2)
    c = torch.tensor([[1.0, 1, 1, 1, 1], [0.2, 0.3, 0.5, 1, 2], [5, 1, 0.5, 2, 8], [30, 1, 2, 0.4, 3], [0.05, 0.1, 4, 0.7, 1.5]]).repeat(8, 1)
    c = c.float().double()
    x = Dirichlet(c).sample().clamp(min=1e-6)
    x = (x / x.sum(1, keepdim=True)).float().double()
    g = tensor(11, *c.shape)
    for name, v in [("concentrations", c), ("samples", x), ("gradient", _Dirichlet_backward(x, c, g))]:
        store("dirichlet", name, v)
    c.requires_grad_()
    divergence = kl_divergence(Dirichlet(c), Dirichlet(torch.ones_like(c))).sum()
    divergence.backward()
    store("anchor", "divergence", divergence)
    store("anchor", "gradient", c.grad)


if __name__ == "__main__":
    second()
    a2m()
    others()
    dirichlet()
    save(os.path.join(HERE, "gradients.safetensors"))
