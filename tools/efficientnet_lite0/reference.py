"""The features of three drawn images as ONNX Runtime gives them in Python, for the tests of both engines.

    pip install numpy onnxruntime==1.31.1
    python convert.py PACKAGE --single --out /tmp/single.onnx
    python reference.py /tmp/single.onnx

`reference.f32`: little-endian f32, [network][image][feature], 2 × 3 × 1,280. Network 0 is the file in the binary,
1 the same in single precision.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime

from convert import ASSETS, SIDE


def draw(kind):
    """HWC RGB8, in whole numbers so that the tests can draw the same."""
    y, x = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    radius = (x - 112) ** 2 + (y - 118) ** 2
    inside = (radius < 80 * 80)[..., None]
    light = 255 - ((x - 80) ** 2 + (y - 80) ** 2) // 120
    if kind == 0:  # an orange on white
        colour = np.stack([light, light * 140 // 255, light * 20 // 255], -1)
        image = np.where(inside, colour, 255)
    elif kind == 1:  # stripes on a slope
        stripe = ((x + 2 * y) // 16) % 2
        image = np.stack([stripe * 160 + 40, y, 255 - x], -1)
    else:  # noise in a disc
        noise = (x * 7919 + y * 104729 + x * y * 31) % 256
        image = np.where(inside, np.stack([noise, noise // 2, 255 - noise], -1), 90)
    return np.clip(image, 0, 255).astype(np.uint8)


def main():
    images = np.stack([draw(kind) for kind in range(3)]).astype(np.float32)
    tensor = np.ascontiguousarray(((images - np.float32(127)) / np.float32(128)).transpose(0, 3, 1, 2))
    networks = [ASSETS / "efficientnet_lite0.onnx", sys.argv[1]]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    features = np.stack(
        [onnxruntime.InferenceSession(str(n), options).run(None, {"images": tensor})[0] for n in networks]
    )
    Path(__file__).with_name("reference.f32").write_bytes(features.astype("<f4").tobytes())
    error = np.linalg.norm(features[0] - features[1], axis=1) / np.linalg.norm(features[1], axis=1)
    print(f"relative L2 error of the 16-bit weights: {error}")


if __name__ == "__main__":
    main()
