"""Key points of a run against those that OpenCV found.

    python compare_orb.py RUN REFERENCE.json.gz

RUN holds the photos of the reference, by the ends of their paths. A key point is found again when one of the same
octave lies within half a pixel and two degrees. Prints one line of JSON: the shares found again, both ways, and the
Hamming distances of the descriptors of matched key points.
"""

import gzip
import json
import pathlib
import sys

import numpy as np
import pyarrow.parquet as pq

COLUMNS = ["path", "x", "y", "angle_degrees", "octave", "descriptor"]


def main():
    files = sorted(pathlib.Path(sys.argv[1], "descriptors").glob("*.parquet"))
    ours = {}
    for file in files:
        for path, *place, bits in zip(*(pq.read_table(file, columns=COLUMNS)[c].to_pylist() for c in COLUMNS)):
            ours.setdefault(path, []).append((place, np.frombuffer(bits, "u1")))
    reference = json.loads(gzip.open(sys.argv[2]).read())["images"]
    ours_in_theirs, theirs_in_ours, distances, images = [], [], [], 0
    for image in reference:
        own = ours.get(image["path"].split("/", 1)[1], [])
        theirs = [
            ([x, y, angle, octave], np.frombuffer(bytes.fromhex(bits), "u1"))
            for (x, y, _, angle, _, octave), bits in zip(image["keypoints"], image["descriptors"])
        ]
        images += 1
        ours_in_theirs += [best(one, theirs) is not None for one in own]
        for one in theirs:
            distance = best(one, own)
            theirs_in_ours.append(distance is not None)
            if distance is not None:
                distances.append(distance)
    # Nothing in common is a figure that misses, not one that cannot be had.
    distances = distances or [256]
    print(
        json.dumps(
            {
                "images": images,
                "keypoints": len(theirs_in_ours),
                "found_again": float(np.mean(theirs_in_ours)),
                "also_there": float(np.mean(ours_in_theirs or [0])),
                "median_bits": float(np.median(distances)),
                "bits_95": float(np.quantile(distances, 0.95)),
            }
        )
    )


def best(one, others):
    """The fewest bits that differ between a key point and those at its place; none where there is none."""
    (x, y, angle, octave), bits = one
    distances = [
        int(np.bitwise_count(bits ^ other).sum())
        for (ox, oy, oangle, ooctave), other in others
        if octave == ooctave
        and np.hypot(x - ox, y - oy) <= 0.5
        and abs((angle - oangle + 180) % 360 - 180) <= 2
    ]
    return min(distances, default=None)


main()
