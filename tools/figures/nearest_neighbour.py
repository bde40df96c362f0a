"""Accuracy of the nearest neighbour (Euclidean) from one folder of components to another.

    python nearest_neighbour.py TRAINING TEST
"""

import json
import sys

import numpy as np

from tables import lists

_, labels, known = lists(sys.argv[1], "components")
_, wanted, asked = lists(sys.argv[2], "components")
labels, wanted = np.array(labels), np.array(wanted)
known, asked = known.astype("f8"), asked.astype("f8")
squares = (known**2).sum(1)
right = 0
for begin in range(0, len(asked), 512):
    block = asked[begin : begin + 512]
    nearest = (squares - 2 * block @ known.T).argmin(1)
    right += int((labels[nearest] == wanted[begin : begin + 512]).sum())
print(json.dumps({"accuracy": right / len(asked), "training": len(known), "test": len(asked)}))
