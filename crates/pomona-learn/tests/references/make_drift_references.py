"""Makes drift_references.json beside this file, with programs that are not Pomona.

    pip install numpy==2.4.6
    python make_drift_references.py

`drift`: what separates new rows from those that scaler and principal components were fitted on, by NumPy from the rows
themselves: columns standardised (deviation n - 1) and projected on right singular vectors. `removal`: mean and co-matrix
of the rows that are left when some are taken away, in rational arithmetic (Python's fractions), rounded once.
"""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def drift(name, fitted, new, count, scale):
    mean, deviation = fitted.mean(axis=0), fitted.std(axis=0, ddof=1)
    deviation[np.ptp(fitted, axis=0) == 0] = np.inf
    divisor = deviation if scale else np.ones_like(mean)
    z, seen = (fitted - mean) / divisor, (new - mean) / divisor
    total = z.var(axis=0, ddof=1).sum()
    components = np.linalg.svd(z, full_matrices=False)[2][:count]
    varying = np.isfinite(deviation)
    # Straight from the words "root mean square in deviations", not from the formula with the total variance.
    one = deviation[varying] if scale else np.sqrt(fitted.var(axis=0, ddof=1).mean())
    apart = (new.mean(axis=0) - mean)[varying] if scale else new.mean(axis=0) - mean
    return {
        "name": name,
        "columns": fitted.shape[1],
        "components": count,
        "scale": scale,
        "fitted": fitted.ravel().tolist(),
        "new": new.ravel().tolist(),
        "shift": float(np.sqrt(np.mean((apart / one) ** 2))),
        "spread": float(seen.var(axis=0, ddof=1).sum() / total),
        "explained": float(((seen @ components.T) ** 2).sum() / (seen**2).sum()),
        "explained_fitted": float((z @ components.T).var(axis=0, ddof=1).sum() / total),
        "sampling_shift": float(np.sqrt(1 / len(new) + 1 / len(fitted))),
    }


def drifts(random):
    loadings = random.standard_normal((4, 10))

    def draw(n, causes):
        x = np.maximum(causes(n) @ loadings + 0.3 * random.standard_normal((n, 10)), 0)
        x *= [1, 2, 5, 0.1, 1, 30, 1, 1, 1, 1]
        return x.astype(np.float32).astype(np.float64)

    fitted = draw(60, lambda n: random.standard_normal((n, 4)))
    fitted[:, 7] = np.float32(0.1)  # constant, but not in the new rows
    alike = draw(25, lambda n: random.standard_normal((n, 4)))
    apart = draw(40, lambda n: 2.5 + 0.4 * random.standard_normal((n, 4)))
    return [
        drift(f"{kind}, {'scaled' if scale else 'unscaled'}", fitted, new, 3, scale)
        for kind, new in [("alike", alike), ("apart", apart)]
        for scale in [True, False]
    ]


def removal(name, rows, removed):
    left = [row for i, row in enumerate(rows) if i not in removed]
    n, columns = len(left), len(rows[0])
    values = [[Fraction(v) for v in row] for row in left]
    mean = [sum(row[c] for row in values) / n for c in range(columns)]
    return {
        "name": name,
        "columns": columns,
        "rows": [v for row in rows for v in row],
        "removed": [v for i in sorted(removed) for v in rows[i]],
        "mean": [float(m) for m in mean],
        "comatrix": [
            float(sum((row[a] - mean[a]) * (row[b] - mean[b]) for row in values))
            for a in range(columns)
            for b in range(columns)
        ],
    }


def removals(random):
    x = random.standard_normal((90, 3))
    x[:, 2] += x[:, 0]
    return [
        removal("one row", np.round(x, 6).tolist(), {0}),
        removal("a third, offset 1e9", np.round(1e9 + x, 6).tolist(), set(range(0, 90, 3))),
        removal("all but two", np.round(x, 6).tolist(), set(range(88))),
    ]


def main():
    random = np.random.default_rng(11)
    references = {"drift": drifts(random), "removal": removals(random)}
    (HERE / "drift_references.json").write_text(json.dumps(references) + "\n")


if __name__ == "__main__":
    main()
