"""Nearest neighbour on visual words, by OpenCV and scikit-learn.

    python opencv_words.py TRAINING TEST WORDS COMPONENTS

ORB (500 key points) on every photo, k-means (k-means++, one start, Lloyd, at most 100 passes) on the descriptors of
TRAINING, word counts, StandardScaler, PCA (a count or a share of the variance), and the nearest neighbour of each
photo of TEST. Labels are the parent folders. Prints one line of JSON.
"""

import json
import pathlib
import sys

import cv2
import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler


def described(folder):
    orb = cv2.ORB_create()
    labels, descriptors = [], []
    for file in sorted(pathlib.Path(folder).rglob("*.jpg")):
        found = orb.detectAndCompute(cv2.imread(str(file)), None)[1]
        labels.append(file.parent.name)
        descriptors.append(np.zeros((0, 32), "u1") if found is None else found)
    return np.array(labels), descriptors


def counted(kmeans, descriptors):
    rows = np.concatenate(descriptors).astype("f8")
    words = kmeans.predict(rows)
    counts = np.zeros((len(descriptors), kmeans.n_clusters))
    image = np.repeat(np.arange(len(descriptors)), [len(one) for one in descriptors])
    np.add.at(counts, (image, words), 1)
    return counts


def main():
    words = int(sys.argv[3])
    components = float(sys.argv[4])
    components = components if components < 1 else int(components)
    labels, training = described(sys.argv[1])
    wanted, test = described(sys.argv[2])
    kmeans = KMeans(words, init="k-means++", n_init=1, max_iter=100, random_state=0)
    kmeans.fit(np.concatenate(training).astype("f8"))
    scaler = StandardScaler()
    known = scaler.fit_transform(counted(kmeans, training))
    pca = PCA(components, svd_solver="full").fit(known)
    asked = pca.transform(scaler.transform(counted(kmeans, test)))
    neighbour = KNeighborsClassifier(1).fit(pca.transform(known), labels)
    print(
        json.dumps(
            {
                "accuracy": float((neighbour.predict(asked) == wanted).mean()),
                "components": int(pca.n_components_),
                "passes": int(kmeans.n_iter_),
                "test": len(wanted),
            }
        )
    )


main()
