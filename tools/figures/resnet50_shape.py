"""Writes an ONNX network of ResNet50's shape with random weights, for measurements of time only.

Layers and strides after He et al., "Deep Residual Learning for Image Recognition" (2015), table 1, with the stride of a
block in its 3 x 3 convolution, and batch normalisation folded into the convolutions, as inference engines do.

usage: resnet50_shape.py OUT.onnx
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STAGES = [(3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)]
dice = np.random.default_rng(50)
nodes, weights = [], []


def conv(name, source, inputs, outputs, size, stride, is_active=True):
    scale = np.sqrt(2.0 / (inputs * size * size))
    kernel = (dice.standard_normal((outputs, inputs, size, size)) * scale).astype(np.float32)
    weights.append(numpy_helper.from_array(kernel, f"{name}.weight"))
    weights.append(numpy_helper.from_array(np.zeros(outputs, np.float32), f"{name}.bias"))
    nodes.append(
        helper.make_node(
            "Conv",
            [source, f"{name}.weight", f"{name}.bias"],
            [name],
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[size // 2] * 4,
        )
    )
    return relu(name) if is_active else name


def relu(source):
    nodes.append(helper.make_node("Relu", [source], [f"{source}.relu"]))
    return f"{source}.relu"


at = conv("stem", "input", 3, 64, 7, 2)
nodes.append(
    helper.make_node("MaxPool", [at], ["pooled.stem"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
)
at, channels = "pooled.stem", 64
for stage, (blocks, width, first_stride) in enumerate(STAGES):
    for block in range(blocks):
        name, stride = f"s{stage}b{block}", first_stride if block == 0 else 1
        inner = conv(f"{name}.1", at, channels, width, 1, 1)
        inner = conv(f"{name}.2", inner, width, width, 3, stride)
        inner = conv(f"{name}.3", inner, width, 4 * width, 1, 1, is_active=False)
        if block == 0:
            at = conv(f"{name}.short", at, channels, 4 * width, 1, stride, is_active=False)
        nodes.append(helper.make_node("Add", [inner, at], [f"{name}.sum"]))
        at, channels = relu(f"{name}.sum"), 4 * width
nodes.append(helper.make_node("GlobalAveragePool", [at], ["mean"]))
nodes.append(helper.make_node("Flatten", ["mean"], ["features"]))
graph = helper.make_graph(
    nodes,
    "resnet50_shape",
    [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 224, 224])],
    [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", channels])],
    weights,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, sys.argv[1])
