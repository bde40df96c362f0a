"""Small networks with random weights, and the features ONNX Runtime gives for them in Python.

    pip install numpy onnx onnxruntime==1.31.1
    python make_networks.py

Every network takes 16 x 16 pixels. `features.json` holds for each the features of two images whose pixel at
(y, x, channel) is `(7 y + 13 x + 29 channel + 101 image) x (x + 3 y + 1) mod 256`, normalised to -1..1.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
SIDE = 16
random = np.random.default_rng(2)


def weights(name, *shape):
    scale = 1 / np.sqrt(np.prod(shape[1:]) if len(shape) > 1 else 1)
    return numpy_helper.from_array((random.standard_normal(shape) * scale).astype(np.float32), name)


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def write(name, nodes, initializers, output, shape=("n", 3, SIDE, SIDE), kind=TensorProto.FLOAT, rank=2):
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [f"side{i}" for i in range(rank)])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    return model


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs, [output], name=f"{output}_node", **attributes)


def body(source="images"):
    """A strided convolution, a depthwise one, a residual sum: 6 maps of 8 x 8."""
    nodes = [
        node("Conv", [source, "w1", "b1"], "conv1", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
        node("Relu", ["conv1"], "relu1"),
        node("Conv", ["relu1", "w2"], "conv2", kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=6),
        node("Add", ["conv2", "relu1"], "sum"),
        node("Relu", ["sum"], "map"),
    ]
    return nodes, [weights("w1", 6, 3, 3, 3), weights("b1", 6), weights("w2", 6, 1, 3, 3)]


def networks():
    # PyTorch's way: pooling, Flatten, Gemm with the weights turned.
    nodes, tensors = body()
    nodes += [
        node("GlobalAveragePool", ["map"], "pool"),
        node("Flatten", ["pool"], "flat"),
        node("Gemm", ["flat", "w3", "b3"], "logits", transB=1),
    ]
    yield "gemm", nodes, tensors + [weights("w3", 5, 6), weights("b3", 5)], "logits", {}, "pool"

    # Keras's way: channels last, ReduceMean, MatMul, Add, Softmax; height and width open.
    nodes, tensors = body("turned")
    nodes = [node("Transpose", ["images"], "turned", perm=[0, 3, 1, 2])] + nodes + [
        node("ReduceMean", ["map"], "mean", axes=[2, 3], keepdims=0),
        node("MatMul", ["mean", "w3"], "product"),
        node("Add", ["product", "b3"], "logits"),
        node("Softmax", ["logits"], "scores", axis=-1),
    ]
    shape = dict(shape=("n", "h", "w", 3))
    yield "matmul", nodes, tensors + [weights("w3", 6, 5), weights("b3", 5)], "scores", shape, "mean"

    # MobileNetV3's way: two 1 x 1 convolutions after the pooling, the second is the classifier.
    nodes, tensors = body()
    nodes += [
        node("GlobalAveragePool", ["map"], "pool"),
        node("Conv", ["pool", "w3"], "wide", kernel_shape=[1, 1]),
        node("Relu", ["wide"], "swish"),
        node("Conv", ["swish", "w4", "b4"], "classes", kernel_shape=[1, 1]),
        node("Flatten", ["classes"], "logits"),
    ]
    tensors = tensors + [weights("w3", 9, 6, 1, 1), weights("w4", 5, 9, 1, 1), weights("b4", 5)]
    yield "pointwise", nodes, tensors, "logits", {}, "swish"

    # No classifier: the output is what is wanted. The shape is computed, as PyTorch's view() is exported.
    nodes, tensors = body()
    nodes += [
        node("GlobalAveragePool", ["map"], "pool"),
        node("Shape", ["pool"], "shape"),
        node("Gather", ["shape", "zero"], "batch", axis=0),
        node("Unsqueeze", ["batch", "axes"], "batch1"),
        node("Concat", ["batch1", "rest"], "target", axis=0),
        node("Reshape", ["pool", "target"], "out"),
    ]
    zero = numpy_helper.from_array(np.array(0, np.int64), "zero")
    yield "headless", nodes, tensors + [zero, ints("axes", 0), ints("rest", -1)], "out", {}, "out"

    # The classifier takes every pixel: VGG's way, nothing is pooled.
    nodes, tensors = body()
    nodes += [node("Flatten", ["map"], "flat"), node("Gemm", ["flat", "w3"], "logits")]
    yield "unpooled", nodes, tensors + [weights("w3", 6 * 64, 5)], "logits", {}, "flat"

    # Exported without a dynamic axis: two images a run, no more, no less.
    nodes, tensors = body()
    nodes += [
        node("GlobalAveragePool", ["map"], "pool"),
        node("Reshape", ["pool", "target"], "flat"),
        node("Gemm", ["flat", "w3"], "logits"),
    ]
    shape = dict(shape=(2, 3, SIDE, SIDE))
    yield "batch_of_two", nodes, tensors + [ints("target", 2, 6), weights("w3", 6, 5)], "logits", shape, "pool"


def images(count=2):
    y, x, c = np.meshgrid(np.arange(SIDE), np.arange(SIDE), np.arange(3), indexing="ij")
    return np.stack([(7 * y + 13 * x + 29 * c + 101 * i) * (x + 3 * y + 1) % 256 for i in range(count)])


def main():
    expected = {}
    for name, nodes, tensors, output, options, layer in networks():
        model = write(name, nodes, tensors, output, **options)
        model.graph.output.append(helper.make_tensor_value_info(layer, TensorProto.FLOAT, None))
        if layer == output:
            del model.graph.output[1]
        pixels = ((images().astype(np.float32) - np.float32(127.5)) / np.float32(127.5)).astype(np.float32)
        if "turned" not in {n.output[0] for n in nodes}:
            pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        session = onnxruntime.InferenceSession(model.SerializeToString())
        (features,) = session.run([layer], {"images": pixels})
        features = features.reshape(len(pixels), -1)
        expected[name] = {"layer": layer, "features": [[float(f"{v:.9g}") for v in row] for row in features]}
    (HERE / "features.json").write_text(json.dumps(expected) + "\n")

    # Not for images.
    write("rank_two", [node("Gemm", ["images", "w"], "out")], [weights("w", 8, 2)], "out", shape=("n", 8))
    write("one_channel", [node("Conv", ["images", "w"], "out")], [weights("w", 2, 1, 3, 3)], "out", shape=("n", 1, 8, 8), rank=4)
    write("whole_numbers", [node("Cast", ["images"], "out", to=TensorProto.FLOAT)], [], "out", kind=TensorProto.UINT8, rank=4)
    nodes, tensors = body()
    model = write("external", nodes + [node("GlobalAveragePool", ["map"], "pool")], tensors, "pool", rank=4)
    for tensor in model.graph.initializer:
        onnx.external_data_helper.set_external_data(tensor, "weights.bin")
        tensor.ClearField("raw_data")
    (HERE / "external.onnx").write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
