"""Makes kmeans_references.json: what scikit-learn says about small k-means fits and about tf-idf.

    python make_kmeans_references.py > kmeans_references.json

Made with Python 3.11, numpy 2.4.6, scikit-learn 1.9.1. Rows come from a generator that `tests/common/descriptors.rs` repeats.
"""

import json
import warnings

import numpy as np
import sklearn
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import normalize

warnings.simplefilter("ignore", ConvergenceWarning)


class Random:
    """x ← 1664525·x + 1013904223 mod 2³² (Knuth, Numerical Recipes); the upper 16 bits are given."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (1664525 * self.state + 1013904223) % 2**32
        return self.state >> 16


def rows_of(seed, rows, groups):
    """Bytes around `groups` middles, row i about middle i mod groups; apart by at most 48."""
    random = Random(seed)
    middles = [[random.next() % 256 for _ in range(32)] for _ in range(groups)]
    return np.array(
        [
            [min(max(middles[row % groups][at] + random.next() % 97 - 48, 0), 255) for at in range(32)]
            for row in range(rows)
        ],
        np.uint8,
    )


def passes(rows, first, most):
    """After 1, 2, … updates from the centres `first`: inertia, labels and, of the last, centres."""
    steps = []
    for number in range(1, most + 1):
        fitted = KMeans(len(first), init=first, n_init=1, max_iter=number, tol=0, algorithm="lloyd").fit(rows)
        steps.append({"inertia": float(fitted.inertia_), "labels": fitted.labels_.tolist()})
    return {"steps": steps, "centres": np.round(fitted.cluster_centers_, 6).ravel().tolist()}


def seeding_cost(rows, words, seed):
    """Σ of the squared distances to the nearest of the centres that k-means++ starts from."""
    centres, _ = kmeans_plusplus(rows, words, random_state=seed)
    return float(((rows[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2).min(axis=1).sum())


def main():
    cases = []
    for seed, count, groups, words in ((1, 150, 9, 7), (2, 90, 40, 12)):
        rows = rows_of(seed, count, groups).astype(np.float64)
        cases.append(
            {"seed": seed, "rows": count, "groups": groups, "first": words} | passes(rows, rows[:words], 6)
        )
    # The last centre is far from every row: its cluster is empty in the first pass.
    rows = rows_of(3, 80, 5).astype(np.float64)
    first = np.vstack([rows[:5], np.where(rows.mean(axis=0) < 128, 255.0, 0.0)])
    empty = {"seed": 3, "rows": 80, "groups": 5, "first": first.astype(int).ravel().tolist()} | passes(rows, first, 4)

    rows = rows_of(4, 1500, 300).astype(np.float64)
    inertias = [float(KMeans(100, n_init=1, random_state=seed).fit(rows).inertia_) for seed in range(20)]
    seeded = [seeding_cost(rows, 100, seed) for seed in range(400)]
    quality = {
        "seed": 4,
        "rows": 1500,
        "groups": 300,
        "words": 100,
        "inertia_mean": float(np.mean(inertias)),
        "seeding_mean": float(np.mean(seeded)),
        "seeding_deviation": float(np.std(seeded, ddof=1)),
    }

    # Rows without groups: the centres settle slowly, and the tolerance ends it.
    rows = rows_of(6, 2000, 2000).astype(np.float64)
    tolerance = {"seed": 6, "rows": 2000, "first": 12, "passes": []}
    for value in (3.0, 1.0, 0.3, 0.1, 0.03, 0.01):
        fitted = KMeans(12, init=rows[:12], n_init=1, max_iter=100, tol=value, algorithm="lloyd").fit(rows)
        tolerance["passes"].append([value, int(fitted.n_iter_)])

    random = Random(5)
    counts = np.array([[max(random.next() % 9 - 4, 0) for _ in range(6)] for _ in range(8)])
    counts[3] = 0  # an image without key points
    counts[:, 2] = 0  # a word that no image has
    vectors = {
        f"tf-idf {norm}": TfidfTransformer(norm=None if norm == "none" else norm)
        .fit_transform(counts)
        .toarray()
        .ravel()
        .tolist()
        for norm in ("none", "l1", "l2")
    } | {f"counts {norm}": normalize(counts.astype(float), norm).ravel().tolist() for norm in ("l1", "l2")}
    words = {
        "counts": counts.ravel().tolist(),
        "words": 6,
        "inverse": TfidfTransformer().fit(counts).idf_.tolist(),
        "vectors": vectors,
    }
    result = {
        "sklearn": sklearn.__version__,
        "passes": cases,
        "empty": empty,
        "quality": quality,
        "tolerance": tolerance,
        "words": words,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
