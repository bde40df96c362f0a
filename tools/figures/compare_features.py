"""Compares two tables of features image by image: cosine and relative L2 difference.

    python compare_features.py FEATURES REFERENCE

Paths are matched by their longest common ending: one table may hold `Banana/1.jpg`, the other `Test/Banana/1.jpg`.
Prints one line of JSON.
"""

import json
import sys

import numpy as np

from tables import lists

paths, _, got = lists(sys.argv[1], "features")
names, _, wanted = lists(sys.argv[2], "features")


def ending(path):
    return "/".join(path.split("/")[-2:])


place = {ending(path): row for row, path in enumerate(names)}
assert len(place) == len(names), "paths differ in their last two parts"
order = [place[ending(path)] for path in paths]
got, wanted = got.astype("f8"), wanted[order].astype("f8")
norms = np.linalg.norm(wanted, axis=1)
cosine = (got * wanted).sum(1) / (np.linalg.norm(got, axis=1) * norms)
relative = np.linalg.norm(got - wanted, axis=1) / norms
print(
    json.dumps(
        {
            "images": len(paths),
            # The value that 99 % of the images reach.
            "cosine_of_99_percent": float(np.sort(cosine)[int(len(cosine) * 0.01)]),
            "relative_l2_median": float(np.median(relative)),
            "relative_l2_worst": float(relative.max()),
        }
    )
)
