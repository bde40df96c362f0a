"""How long scikit-learn takes for the codebook that `crates/pomona-learn/examples/kmeans_rate.rs` learns.

    python sklearn_kmeans.py FILE [WORDS] [SEED] [THREADS] [MAX_PASSES] [DTYPE]

FILE holds n×32 bytes of descriptors and nothing else. Needs numpy and scikit-learn from their PyPI wheels. Prints one
line of JSON: seconds (k-means++ and Lloyd's passes, the least of three) and inertia. DTYPE is float64 (the
default, and the faster of the two: the seeding converts float32) or float32; converting is not counted.
"""

import json
import sys
import time

import numpy as np
import sklearn
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

REPEATS = 3


def main():
    file = sys.argv[1]
    given = [int(argument) for argument in sys.argv[2:6]]
    words, seed, threads, passes = given + [1000, 0, 2, 300][len(given):]
    dtype = sys.argv[6] if len(sys.argv) > 6 else "float64"
    rows = np.fromfile(file, np.uint8).reshape(-1, 32).astype(dtype)
    seconds = []
    with threadpool_limits(limits=threads):
        # Threads and libraries are loaded before the clock runs.
        KMeans(2, n_init=1, max_iter=2, random_state=0).fit(rows[:1000])
        for _ in range(REPEATS):
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
    exact = rows.astype(np.float64)
    apart = exact - fitted.cluster_centers_.astype(np.float64)[fitted.labels_]
    result = {
        "rows": len(rows),
        "words": words,
        "seed": seed,
        "threads": threads,
        "max_passes": passes,
        "dtype": dtype,
        "sklearn": sklearn.__version__,
        "repeats": REPEATS,
        "passes": int(fitted.n_iter_),
        "seconds": min(seconds),
        "inertia": float((apart**2).sum()),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
