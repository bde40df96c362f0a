"""Small pictures, and the ORB key points and descriptors that OpenCV finds in them.

    pip install numpy opencv-python-headless==5.0.0.93
    python tools/orb_reference.py

Writes the pictures and `opencv.json` to `crates/pomona-vision/tests/orb`. A key point is
`[x, y, size, angle_degrees, response, octave, descriptor]`, the descriptor 32 bytes in hexadecimal digits.
"""

import json
from pathlib import Path

import cv2
import numpy as np

OUT = Path(__file__).resolve().parent.parent / "crates/pomona-vision/tests/orb"
# Features, scale factor, levels, edge, patch, FAST threshold.
DEFAULTS = (500, 1.2, 8, 31, 31, 20)
CASES = [
    ("shapes", DEFAULTS),
    ("shapes", (60, 1.2, 8, 31, 31, 20)),
    ("shapes", (40, 1.5, 5, 5, 15, 7)),
    ("waves", DEFAULTS),
    ("waves", (50, 1.3, 4, 0, 31, 0)),
    ("plain", DEFAULTS),
]


def shapes():
    """Coloured rectangles, discs and lines."""
    random = np.random.default_rng(7)
    picture = np.full((150, 190, 3), 235, np.uint8)
    for _ in range(45):
        colour = random.integers(0, 256, 3).tolist()
        x, y = random.integers(0, 190), random.integers(0, 150)
        width, height = random.integers(5, 40, 2)
        kind = random.integers(3)
        if kind == 0:
            cv2.rectangle(picture, (x, y), (x + width, y + height), colour, -1)
        elif kind == 1:
            cv2.ellipse(picture, (x, y), (width // 2, height // 2), 0, 0, 360, colour, -1)
        else:
            cv2.line(picture, (x, y), (x + width, y + height - 20), colour, 2)
    return picture


def waves():
    """Grey, uneven and without straight edges; odd sides."""
    y, x = np.mgrid[0:91, 0:117]
    value = 128 + 70 * np.sin(x * x / 90 + y / 5) + 50 * np.cos(y * y / 70 - x / 4)
    return np.clip(np.rint(value), 0, 255).astype(np.uint8)


def plain():
    return np.full((80, 80, 3), 200, np.uint8)


def found(picture, settings):
    features, scale_factor, levels, edge, patch, threshold = settings
    orb = cv2.ORB_create(
        nfeatures=features,
        scaleFactor=scale_factor,
        nlevels=levels,
        edgeThreshold=edge,
        patchSize=patch,
        fastThreshold=threshold,
    )
    points, descriptors = orb.detectAndCompute(picture, None)
    return [
        [*point.pt, point.size, point.angle, point.response, point.octave, bytes(descriptor).hex()]
        for point, descriptor in zip(points, descriptors if points else [])
    ]


def main():
    pictures = {"shapes": shapes(), "waves": waves(), "plain": plain()}
    for name, picture in pictures.items():
        cv2.imwrite(str(OUT / f"{name}.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    cases = []
    for name, settings in CASES:
        # Read back: what is compared is what the file holds.
        points = found(cv2.imread(str(OUT / f"{name}.png")), settings)
        cases.append({"picture": f"{name}.png", "settings": settings, "found": points})
    lines = ",\n".join(
        '{{"picture": "{}", "settings": {}, "found": [\n{}\n]}}'.format(
            case["picture"], json.dumps(case["settings"]), ",\n".join(map(json.dumps, case["found"]))
        )
        for case in cases
    )
    text = f'{{"source": "OpenCV {cv2.__version__}", "cases": [\n{lines}\n]}}\n'
    json.loads(text)
    (OUT / "opencv.json").write_text(text, encoding="utf-8")
    for case in cases:
        print(case["picture"], case["settings"], len(case["found"]))


if __name__ == "__main__":
    main()
