"""Makes references.json and sealed_version_1.pomona beside this file, with programs that are not Pomona.

    pip install numpy==2.4.6 scikit-learn==1.9.1
    python make_references.py

`exact`: means and co-matrices of rows with a large common offset, in rational arithmetic (Python's
fractions), rounded once. `fits`: StandardScaler (deviation n - 1) and PCA of scikit-learn, components with
the sign that makes the entry of largest magnitude positive. `neighbours`: scikit-learn's 1-nearest-neighbour
accuracy. The sealed file is written here byte by byte, from the format's description.
"""

import hashlib
import json
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

HERE = Path(__file__).parent


def exact(name, rows):
    n, columns = len(rows), len(rows[0])
    values = [[Fraction(v) for v in row] for row in rows]
    mean = [sum(row[c] for row in values) / n for c in range(columns)]
    comatrix = [
        [float(sum((row[a] - mean[a]) * (row[b] - mean[b]) for row in values)) for b in range(columns)]
        for a in range(columns)
    ]
    return {
        "name": name,
        "columns": columns,
        "rows": [v for row in rows for v in row],
        "mean": [float(m) for m in mean],
        "comatrix": [v for row in comatrix for v in row],
    }


def exact_cases(random):
    small = random.standard_normal((700, 3))
    small[:, 2] += small[:, 0]
    wide = random.standard_normal((5, 8))
    return [
        exact("offset 1e9", np.round(1e9 + small, 6).tolist()),
        exact("no offset", np.round(small[:50], 6).tolist()),
        exact("columns of very different size", np.round(small[:60] * [1e-6, 1.0, 1e6], 9).tolist()),
        exact("fewer rows than columns", np.round(wide, 6).tolist()),
    ]


def fit(name, x, count, scale):
    mean, deviation = x.mean(axis=0), x.std(axis=0, ddof=1)
    deviation[np.ptp(x, axis=0) == 0] = 0
    z = (x - mean) / np.where(deviation > 0, deviation, 1) if scale else x - mean
    pca = PCA(n_components=count, svd_solver="full").fit(z)
    largest = np.abs(pca.components_).argmax(axis=1)
    signs = np.sign(pca.components_[np.arange(count), largest])
    return {
        "name": name,
        "rows": x.ravel().tolist(),
        "columns": x.shape[1],
        "scale": scale,
        "mean": mean.tolist(),
        "deviation": deviation.tolist(),
        "components": (pca.components_ * signs[:, None]).ravel().tolist(),
        "explained_variance": pca.explained_variance_.tolist(),
        "explained_variance_ratio": pca.explained_variance_ratio_.tolist(),
        "reduced": (pca.transform(z) * signs).ravel().tolist(),
    }


def fits(random):
    causes = random.standard_normal((60, 4))
    loadings = random.standard_normal((4, 10))
    x = np.maximum(causes @ loadings + 0.3 * random.standard_normal((60, 10)), 0)
    x *= [1, 2, 5, 0.1, 1, 30, 1, 1, 1, 1]
    x[:, 7] = 0.1  # constant
    x = x.astype(np.float32).astype(np.float64)
    return [
        fit("tall, scaled", x, 6, True),
        fit("tall, unscaled", x, 6, False),
        fit("wide, scaled", x[:7], 6, True),
        fit("wide, unscaled", x[:7], 6, False),
    ]


def neighbours(random):
    centres = random.standard_normal((5, 6)) * 1.2
    labels = [f"kind {i}" for i in range(5)]

    def draw(n):
        of = random.integers(0, 5, n)
        x = (centres[of] + random.standard_normal((n, 6))).astype(np.float32)
        return x, [labels[i] for i in of]

    (train, train_labels), (test, test_labels) = draw(300), draw(120)
    model = KNeighborsClassifier(n_neighbors=1, algorithm="brute").fit(train.astype(float), train_labels)
    return {
        "columns": 6,
        "train": train.ravel().tolist(),
        "train_labels": train_labels,
        "test": test.ravel().tolist(),
        "test_labels": test_labels,
        "nearest": model.kneighbors(test.astype(float), return_distance=False).ravel().tolist(),
        "accuracy": model.score(test.astype(float), test_labels),
    }


def sealed_version_1():
    header = {
        "model": {
            "backbone": "example",
            "reducer": {
                "convention": "reduced = (x - mean) / deviation . components; deviation divides by n - 1",
                "scaled": True,
                "input_columns": 3,
                "output_columns": 2,
                "rank": 2,
                "rows": 9,
                "total_variance": 2.0,
            },
        },
        "sections": [
            {"name": "note", "type": "bytes", "values": 5},
            {"name": "pixels", "type": "f32", "values": 3},
            {"name": "reducer.components", "type": "f64", "values": 6},
            {"name": "reducer.deviation", "type": "f64", "values": 3},
            {"name": "reducer.explained_variance", "type": "f64", "values": 2},
            {"name": "reducer.explained_variance_ratio", "type": "f64", "values": 2},
            {"name": "reducer.mean", "type": "f64", "values": 3},
        ],
    }
    body = b"hello" + struct.pack("<3f", 0.5, -1.25, 3.0)
    body += struct.pack("<6d", 0.6, 0.8, 0.0, 0.8, -0.6, 0.0)
    body += struct.pack("<3d", 2.0, 4.0, 0.0)
    body += struct.pack("<2d", 1.5, 0.5) + struct.pack("<2d", 0.75, 0.25)
    body += struct.pack("<3d", 1.0, -1.0, 7.0)
    text = json.dumps(header, indent=2).encode() + b"\n"
    file = b"POMONA MODEL 1\nheader_bytes %d\n" % len(text) + text + body
    (HERE / "sealed_version_1.pomona").write_bytes(file + hashlib.sha256(file).digest())


def main():
    random = np.random.default_rng(7)
    references = {
        "exact": exact_cases(random),
        "fits": fits(random),
        "neighbours": neighbours(random),
    }
    (HERE / "references.json").write_text(json.dumps(references) + "\n")
    sealed_version_1()


if __name__ == "__main__":
    main()
