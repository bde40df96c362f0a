"""The largest difference between the numbers of two model files, relative to the largest of each section.

    python compare_models.py MODEL MODEL
"""

import json
import sys

import numpy as np

from tables import model

(_, one), (_, other) = model(sys.argv[1]), model(sys.argv[2])
assert one.keys() == other.keys()
worst = 0.0
for name, values in one.items():
    if values.dtype.kind == "f" and len(values):
        assert len(values) == len(other[name]), name
        scale = np.abs(values).max() or 1.0
        worst = max(worst, float(np.abs(values.astype("f8") - other[name]).max() / scale))
print(json.dumps({"worst": worst}))
