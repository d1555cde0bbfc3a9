#!/usr/bin/python3
"""Writes trajectories.json: what PyTorch's optimizers make of 12 parameters in 20 steps.

    /usr/bin/python3 exporter/optimizer/testdata/generate.py      (Debian: python3-torch)

The gradient at step t is a fixed function of the parameters, see gradient, which the Go test computes too. PyTorch
computes in float64.
"""
import json, math, os
import torch

torch.set_default_dtype(torch.float64)
SIZE, STEPS = 12, 20


def gradient(p, t):
    return torch.tensor([math.sin(3 * i + t) + 0.5 * float(p[i]) for i in range(SIZE)])


def run(make, clip):
    p = torch.tensor([math.cos(2 * i) for i in range(SIZE)], requires_grad=True)
    optimizer = make([p])
    path, norms = [], []
    for t in range(STEPS):
        p.grad = gradient(p.detach(), t)
        if clip:
            norms.append(float(torch.nn.utils.clip_grad_norm_([p], clip)))
        optimizer.param_groups[0]["lr"] = 0.1 / (1 + t)
        optimizer.step()
        path.append([round(float(v), 9) for v in p])
    return {"params": path, "norms": [round(n, 9) for n in norms]}


cases = []
for momentum, decay, nesterov, clip in ((0, 0, False, 0), (0, 0.1, False, 0), (0.9, 0, False, 0), (0.9, 5e-3, False, 0), (0.9, 0.05, True, 0), (0.9, 3e-4, True, 1.5)):
    make = lambda ps: torch.optim.SGD(ps, 0.1, momentum=momentum, weight_decay=decay, nesterov=nesterov)
    cases.append(dict(method="sgd", momentum=momentum, decay=decay, nesterov=nesterov, clip=clip, **run(make, clip)))
for b1, b2, eps, decay, clip in ((0.9, 0.999, 1e-8, 0, 0), (0.5, 0.999, 1e-8, 1e-3, 0), (0.9, 0.99, 1e-3, 0.1, 2.0)):
    make = lambda ps: torch.optim.Adam(ps, 0.1, betas=(b1, b2), eps=eps, weight_decay=decay)
    cases.append(dict(method="adam", beta1=b1, beta2=b2, epsilon=eps, decay=decay, clip=clip, **run(make, clip)))
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "trajectories.json")
with open(path, "w") as out:
    json.dump(cases, out, separators=(",", ":"))
    out.write("\n")
print(path, os.path.getsize(path), "bytes")
