"""Compares the explained shares in a model file with a list in a JSON file.

    python compare_variance.py MODEL REFERENCE.json KEY
"""

import json
import sys

import numpy as np

from tables import model

_, sections = model(sys.argv[1])
got = sections["reducer.explained_variance_ratio"]
wanted = np.array(json.load(open(sys.argv[2]))[sys.argv[3]])
assert len(got) == len(wanted), (len(got), len(wanted))
print(json.dumps({"worst": float(np.abs(got - wanted).max()), "compared": len(got)}))
