"""Writes reference.json: what scipy says of the numbers in it.

Run with:  python3 generate.py  (numpy, scipy 1.10 or later and scikit-learn)
"""

import json
import random

import scipy
from scipy import stats
from sklearn.metrics import balanced_accuracy_score


def wilcoxon(x, y, method):
    r = stats.wilcoxon(x, y, zero_method="wilcox", correction=False, method=method)
    return {"statistic": float(r.statistic), "p": float(r.pvalue)}


def case(name, x, y, method):
    out = {"name": name, "x": x, "y": y, "exact": method == "exact"}
    out["wilcoxon"] = wilcoxon(x, y, method)
    out["spearman"] = float(stats.spearmanr(x, y).statistic)
    out["kendall"] = float(stats.kendalltau(x, y).statistic)
    out["pearson"] = float(stats.pearsonr(x, y).statistic)
    u = float(stats.mannwhitneyu(x, y).statistic)
    out["cliff"] = 2 * u / (len(x) * len(y)) - 1
    return out


rng = random.Random(1)
cases = []
for n in (5, 12, 30, 50):
    x = [round(rng.gauss(70, 2), 6) for _ in range(n)]
    y = [round(v - 0.4 + rng.gauss(0, 1.5), 6) for v in x]
    cases.append(case(f"{n} pairs without ties", x, y, "exact"))
for n in (9, 40, 200, 500):
    x = [float(rng.randint(60, 72)) for _ in range(n)]
    y = [float(rng.randint(59, 72)) for _ in range(n)]
    cases.append(case(f"{n} pairs with ties and zeros", x, y, "approx"))
x = [round(rng.gauss(70, 2), 6) for _ in range(80)]
y = [round(v - 1.5 + rng.gauss(0, 1.5), 6) for v in x]
cases.append(case("80 pairs without ties", x, y, "approx"))

# Darwin (1876), the usual example: heights of cross- and self-fertilized plants; p is 0.0413.
cross = [23.5, 12.0, 21.0, 22.0, 19.125, 21.5, 22.125, 20.375, 18.25, 21.625, 23.25, 21.0, 22.125, 23.0, 12.0]
own = [17.375, 20.375, 20.0, 20.0, 18.375, 18.625, 18.625, 15.25, 16.5, 18.0, 16.25, 18.0, 12.75, 15.5, 18.0]
cases.append(case("Darwin's plants", cross, own, "exact"))

shares = []
for k, n, l, m in ((81, 100, 70, 100), (1663, 2000, 1630, 2000), (0, 50, 3, 40), (50, 50, 49, 50), (8450, 10000, 8365, 10000)):
    ci = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    p = stats.chi2_contingency([[k, n - k], [l, m - l]], correction=False).pvalue
    shares.append({"k": k, "n": n, "l": l, "m": m, "low": float(ci.low), "high": float(ci.high), "p": float(p)})
# The mean of several shares: its interval by those of scipy (Zou and Donner 2008), its value by scikit-learn's balanced accuracy.
balanced = []
for k, n in (([9, 40, 3], [10, 100, 3]), ([5, 5], [5, 5]), ([0, 12, 30, 7], [4, 20, 33, 50]), ([200], [250])):
    ci = [stats.binomtest(a, b).proportion_ci(0.95, method="exact") for a, b in zip(k, n)]
    share = [a / b for a, b in zip(k, n)]
    low = (sum(share) - sum((p - c.low) ** 2 for p, c in zip(share, ci)) ** 0.5) / len(k)
    high = (sum(share) + sum((c.high - p) ** 2 for p, c in zip(share, ci)) ** 0.5) / len(k)
    true, said = [], []
    for c, (a, b) in enumerate(zip(k, n)):
        true += [c] * b
        said += [c] * a + [(c + 1) % len(k) if len(k) > 1 else 1] * (b - a)
    value = balanced_accuracy_score(true, said) if len(k) > 1 else k[0] / n[0]
    balanced.append({"k": k, "n": n, "value": float(value), "low": max(0, float(low)), "high": min(1, float(high))})
discordant = [{"first": b, "second": c, "p": float(stats.binomtest(b, b + c, 0.5).pvalue)} for b, c in ((86, 150), (3, 12), (10, 10), (0, 5), (700, 615))]

with open("reference.json", "w") as f:
    json.dump({"scipy": scipy.__version__, "cases": cases, "shares": shares, "discordant": discordant, "balanced": balanced}, f, indent=1)
    f.write("\n")
