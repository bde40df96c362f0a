"""Whether the converted network knows fruit, and what storing its weights in 16 bits costs.

    pip install numpy pillow onnxruntime==1.31.1
    python convert.py PACKAGE --single --classifier --out /tmp/classifier.onnx
    python convert.py PACKAGE --single --out /tmp/single.onnx
    python check.py /tmp/classifier.onnx /tmp/single.onnx BANANA.jpg LEMON.jpg PINEAPPLE.jpg ...

Prints for each photo its ImageNet class (banana 954, lemon 951, pineapple 953) and the relative L2 difference of the
features.
"""

import sys

import numpy as np
import onnxruntime
from PIL import Image

from convert import ASSETS, SIDE


def main():
    classifier, single, half = (
        onnxruntime.InferenceSession(str(path)) for path in (*sys.argv[1:3], ASSETS / "efficientnet_lite0.onnx")
    )
    worst = 0
    for path in sys.argv[3:]:
        image = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        tensor = ((np.asarray(image, np.float32) - 127) / 128).transpose(2, 0, 1)[None]
        (logits,), (exact,), (rounded,) = (s.run(None, {"images": tensor}) for s in (classifier, single, half))
        error = np.linalg.norm(rounded - exact) / np.linalg.norm(exact)
        worst = max(worst, error)
        print(f"{path}: class {logits.argmax()}, relative error {error:.2e}")
    print(f"worst relative error {worst:.2e}")


if __name__ == "__main__":
    main()
