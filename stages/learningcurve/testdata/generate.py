"""Writes reference.json: power laws through learning curves by numpy.

Run with:  python3 generate.py  (numpy)
"""

import json

import numpy

cases = []
for images, wrong, n in (
    ([100, 200, 400], [800, 600, 440], 2000),
    ([30, 60, 120], [5, 7, 4], 24),
    ([250, 500, 1000, 2000], [0, 0, 1, 0], 300),
):
    x = numpy.log(images)
    y = numpy.log((numpy.array(wrong) + 0.5) / (n + 1))
    slope, start = numpy.polyfit(x, y, 1)
    at = lambda m: min(1.0, float(numpy.exp(start + slope * numpy.log(m))))
    cases.append({"images": images, "wrong": wrong, "n": n, "exponent": float(slope), "gain": at(images[-1]) - at(2 * images[-1])})

with open("reference.json", "w") as f:
    json.dump(cases, f, indent=1)
    f.write("\n")
