"""Writes process.json: what scikit-learn's Gaussian process says of architectures of NAS-Bench-201.

An architecture is its one-hot code, in which two architectures at distance d have a Manhattan distance of 2 d, so that the
kernel exp(-d / length) is the Laplacian kernel with gamma 1 / (2 length).

Run with:  python3 generate_process.py  (numpy and scikit-learn 1.5 or later)
"""

import json
import random

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, PairwiseKernel

EDGES, OPERATIONS = 6, 5


def code(architectures):
    return np.eye(OPERATIONS)[np.array(architectures)].reshape(len(architectures), -1)


def case(rng, name, n, length, noise, spread, repeat=0):
    known = [[rng.randrange(OPERATIONS) for _ in range(EDGES)] for _ in range(n)]
    known += known[:repeat]
    scores = [round(60 + spread * (a.count(3) - a.count(0)) + rng.gauss(0, spread), 6) for a in known]
    asked = [[rng.randrange(OPERATIONS) for _ in range(EDGES)] for _ in range(8)] + known[:2]
    # The scores' variance is that of signal and noise together.
    kernel = ConstantKernel(1 / (1 + noise), "fixed") * PairwiseKernel(1 / (2 * length), "fixed", metric="laplacian")
    process = GaussianProcessRegressor(kernel, alpha=noise / (1 + noise), optimizer=None, normalize_y=True)
    process.fit(code(known), np.array(scores))
    mean, std = process.predict(code(asked), return_std=True)
    return {"name": name, "length": length, "noise": noise, "known": known, "scores": scores,
            "asked": asked, "mean": mean.tolist(), "std": std.tolist()}


rng = random.Random(3)
cases = [
    case(rng, "two scores", 2, 2.0, 1.0, 1.0),
    case(rng, "as much noise as signal", 40, 2.0, 1.0, 2.0),
    case(rng, "a long kernel and little noise", 60, 4.0, 0.1, 0.01),
    case(rng, "a short kernel and much noise", 25, 0.7, 3.0, 5.0),
    case(rng, "architectures that were measured twice", 20, 2.0, 0.5, 1.0, repeat=10),
]
with open("process.json", "w") as f:
    f.write("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")
