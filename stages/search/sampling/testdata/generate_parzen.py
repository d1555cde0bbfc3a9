"""Writes parzen.json: densities of Optuna's Parzen estimator over architectures of NAS-Bench-201, all choices at once.

Run with:  python3 generate_parzen.py  (numpy and Optuna 5.0)
"""

import json
import random

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_gamma, default_weights

EDGES, OPERATIONS = 6, 5
SPACE = {f"edge{e}": CategoricalDistribution(list(range(OPERATIONS))) for e in range(EDGES)}
PARAMETERS = _ParzenEstimatorParameters(
    prior_weight=1.0, consider_magic_clip=True, consider_endpoints=False, weights=default_weights, multivariate=True
)


def columns(architectures):
    table = np.array(architectures, dtype=int).reshape(-1, EDGES)
    return {f"edge{e}": table[:, e] for e in range(EDGES)}


def architecture(rng):
    return [rng.randrange(OPERATIONS) for _ in range(EDGES)]


rng = random.Random(4)
cases = []
for n in (0, 1, 7, 24, 25, 26, 27, 60):
    known = [architecture(rng) for _ in range(n)]
    asked = known[:2] + [architecture(rng) for _ in range(4)]
    density = _ParzenEstimator(columns(known), SPACE, PARAMETERS)
    cases.append({"known": known, "asked": asked, "log_density": density.log_pdf(columns(asked)).tolist()})
out = {"cases": cases, "good": [[n, default_gamma(n)] for n in (1, 9, 10, 11, 95, 250, 251, 400)]}
with open("parzen.json", "w") as f:
    f.write('{"good": ' + json.dumps(out["good"]) + ',\n"cases": [\n' + ",\n".join(map(json.dumps, cases)) + "\n]}\n")
