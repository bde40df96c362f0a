"""How long scikit-learn takes for the codebook that `crates/pomona-learn/examples/kmeans_rate.rs` learns.

    python sklearn_kmeans.py FILE [WORDS] [SEED] [THREADS] [MAX_PASSES] [DISTANCE] [DTYPE] [REPEATS]

FILE holds n×32 bytes of descriptors and nothing else. Needs numpy and scikit-learn from their PyPI wheels. Prints one
line of JSON: seconds (k-means++ and Lloyd's passes, the least of REPEATS, 3 by default) and inertia. DISTANCE is
euclidean (the default: 32 columns) or hamming: scikit-learn has no k-majority, so it clusters 256 columns of bits,
whose squared distances are numbers of differing bits; its means are then rounded to bits, ties to 0, and the
inertia is that of the nearest ones. DTYPE is float64 (the default, and the faster of the two: the seeding
converts float32) or float32. Only the fit is timed.
"""

import json
import sys
import time

import numpy as np
import sklearn
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin
from threadpoolctl import threadpool_limits


def inertia(rows, fitted, distance):
    """Σ of squared distances to the centres that rows were given, or of differing bits to the nearest ones."""
    rows = rows.astype(np.float64)
    centres = fitted.cluster_centers_.astype(np.float64)
    labels = fitted.labels_
    if distance == "hamming":
        centres = (centres > 0.5).astype(np.float64)
        labels = pairwise_distances_argmin(rows, centres)
    return float(((rows - centres[labels]) ** 2).sum())


def main():
    file = sys.argv[1]
    given = [int(argument) for argument in sys.argv[2:6]]
    words, seed, threads, passes = given + [1000, 0, 2, 300][len(given):]
    distance, dtype, repeats = sys.argv[6:9] + ["euclidean", "float64", "3"][len(sys.argv[6:9]):]
    if distance not in ("euclidean", "hamming"):
        sys.exit("the distance is euclidean or hamming")
    rows = np.fromfile(file, np.uint8).reshape(-1, 32)
    if distance == "hamming":
        rows = np.unpackbits(rows, axis=1)
    rows = rows.astype(dtype)
    seconds = []
    with threadpool_limits(limits=threads):
        # Threads and libraries are loaded before the clock runs.
        KMeans(2, n_init=1, max_iter=2, random_state=0).fit(rows[:1000])
        for _ in range(int(repeats)):
            start = time.perf_counter()
            fitted = KMeans(
                words,
                init="k-means++",
                n_init=1,
                algorithm="lloyd",
                max_iter=passes,
                random_state=seed,
            ).fit(rows)
            seconds.append(time.perf_counter() - start)
    result = {
        "rows": len(rows),
        "words": words,
        "seed": seed,
        "threads": threads,
        "max_passes": passes,
        "distance": distance,
        "dtype": dtype,
        "sklearn": sklearn.__version__,
        "repeats": int(repeats),
        "passes": int(fitted.n_iter_),
        "seconds": min(seconds),
        "inertia": inertia(rows, fitted, distance),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
