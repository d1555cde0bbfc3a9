#!/usr/bin/python3
"""Writes recipe.json: what PyTorch makes of the parts of a recipe for short trainings.

    python3 exporter/optimizer/testdata/generate_recipe.py      (torch 2.15)

one_cycle  learning rates of torch.optim.lr_scheduler.OneCycleLR
decayed    12 parameters in 20 steps of SGD with two groups of parameters, of which only one has weight decay, and of each step
           the exponential moving average by torch.optim.swa_utils.AveragedModel, which begins with the first step's weights

The gradient at step t is that of generate.py. PyTorch computes in float64.
"""
import json, math, os
import torch
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

torch.set_default_dtype(torch.float64)
SIZE, STEPS = 12, 20


def one_cycle(total, rise, anneal, peak, final):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    divisor = peak / 25 / final if final else math.inf
    schedule = OneCycleLR(optimizer, peak, total_steps=total, pct_start=rise, anneal_strategy="cos" if anneal == "cosine" else anneal, cycle_momentum=False, div_factor=25, final_div_factor=divisor)
    rates = []
    for t in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if t + 1 < total:
            schedule.step()
    return dict(total=total, rise=rise, anneal=anneal, peak=peak, final=final, rates=rates)


class Vector(torch.nn.Module):
    def __init__(self):
        super().__init__()
        start = torch.tensor([math.cos(2 * i) for i in range(SIZE)])
        self.decayed, self.spared = torch.nn.Parameter(start[: SIZE // 2].clone()), torch.nn.Parameter(start[SIZE // 2 :].clone())

    def values(self):
        return torch.cat([self.decayed, self.spared]).detach()


def decayed(momentum, decay, nesterov, keep):
    net = Vector()
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(keep))
    optimizer = torch.optim.SGD([{"params": [net.decayed], "weight_decay": decay}, {"params": [net.spared], "weight_decay": 0}], 0.1, momentum=momentum, nesterov=nesterov)
    path, averages = [], []
    for t in range(STEPS):
        p = net.values()
        g = torch.tensor([math.sin(3 * i + t) + 0.5 * float(p[i]) for i in range(SIZE)])
        net.decayed.grad, net.spared.grad = g[: SIZE // 2].clone(), g[SIZE // 2 :].clone()
        for group in optimizer.param_groups:
            group["lr"] = 0.1 / (1 + t)
        optimizer.step()
        average.update_parameters(net)
        path.append([round(float(v), 9) for v in net.values()])
        averages.append([round(float(v), 9) for v in average.module.values()])
    return dict(momentum=momentum, decay=decay, nesterov=nesterov, keep=keep, params=path, averages=averages)


out = {
    "one_cycle": [one_cycle(*c) for c in ((100, 0.3, "cosine", 0.1, 0), (40, 0.25, "linear", 0.4, 0.001), (37, 0.1, "cosine", 1.0, 1e-6), (10, 0.0, "linear", 0.1, 0), (3, 0.3, "cosine", 0.1, 0))],
    "decayed": [decayed(*c) for c in ((0, 0.1, False, 0.9), (0.9, 0.05, True, 0.5))],
}
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recipe.json")
with open(path, "w") as f:
    json.dump(out, f, separators=(",", ":"))
    f.write("\n")
print(path, os.path.getsize(path), "bytes")
