"""How long NumPy takes for the fit that `crates/pomona-learn/examples/fit_rate.rs` times.

    python numpy_fit.py [ROWS] [COLUMNS]

Needs numpy from its PyPI wheel (OpenBLAS). Prints one line of JSON: seconds_gram (X.T @ X), seconds_eigh
(eigh of the covariance) and their sum seconds_total, in f64, and the same with suffix _f32; each is the least
of three times. Making the features and
converting them is not counted, nor is centring or scaling.
"""

import json
import sys
import time

import numpy as np

CAUSES = 64
REPEATS = 3


def features(rows, columns):
    """max(0, causes · loadings + noise): correlated, and none below 0."""
    random = np.random.default_rng(20260101)
    loadings = random.standard_normal((CAUSES, columns), dtype=np.float32) * np.float32(0.3)
    noise = random.standard_normal((rows, columns), dtype=np.float32) * np.float32(0.5)
    causes = random.standard_normal((rows, CAUSES), dtype=np.float32)
    return np.maximum(causes @ loadings + noise, 0)


def timed(x):
    start = time.perf_counter()
    gram = x.T @ x
    between = time.perf_counter()
    mean = x.mean(axis=0)
    covariance = gram / len(x) - np.outer(mean, mean)
    before = time.perf_counter()
    np.linalg.eigh(covariance)
    return between - start, time.perf_counter() - before


def main():
    given = [int(argument) for argument in sys.argv[1:3]]
    rows, columns = given + [20_000, 1_280][len(given):]
    single = features(rows, columns)
    result = {"rows": rows, "columns": columns, "numpy": np.__version__, "repeats": REPEATS}
    np.linalg.eigh(np.eye(64))  # threads and library are loaded before the clock runs
    for suffix, x in (("", single.astype(np.float64)), ("_f32", single)):
        gram, eigh = (min(times) for times in zip(*(timed(x) for _ in range(REPEATS))))
        result |= {
            "seconds_gram" + suffix: gram,
            "seconds_eigh" + suffix: eigh,
            "seconds_total" + suffix: gram + eigh,
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
