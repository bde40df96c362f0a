"""Writes ONNX files with nothing but the protobuf wire format, so that the same graph is always the same bytes."""

import struct

import numpy as np

FLOAT, INT16, INT64 = 1, 5, 7
KINDS = {np.dtype("<f4"): FLOAT, np.dtype("<i2"): INT16, np.dtype("<i8"): INT64}


def _varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _int(field, value):
    return _varint(field << 3) + _varint(value)


def _bytes(field, value):
    value = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def attribute(name, value):
    """AttributeProto: an int, a float or a list of ints."""
    if isinstance(value, int):
        return _bytes(1, name) + _int(3, value) + _int(20, 2)
    if isinstance(value, float):
        return _bytes(1, name) + _varint(2 << 3 | 5) + struct.pack("<f", value) + _int(20, 1)
    return _bytes(1, name) + b"".join(_int(8, v) for v in value) + _int(20, 7)


def node(kind, inputs, output, **attributes):
    """NodeProto with one output; the node is named after it."""
    return (
        b"".join(_bytes(1, i) for i in inputs)
        + _bytes(2, output)
        + _bytes(3, output)
        + _bytes(4, kind)
        + b"".join(_bytes(5, attribute(k, v)) for k, v in attributes.items())
    )


def tensor(name, array):
    """TensorProto, little-endian raw data."""
    array = np.ascontiguousarray(array)
    array = array.astype(array.dtype.newbyteorder("<"))
    dims = b"".join(_int(1, d) for d in array.shape)
    return dims + _int(2, KINDS[array.dtype]) + _bytes(8, name) + _bytes(9, array.tobytes())


def value(name, shape):
    """ValueInfoProto of f32; a text in the shape is a symbolic dimension."""
    dims = b"".join(_bytes(1, _bytes(2, d) if isinstance(d, str) else _int(1, d)) for d in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _int(1, FLOAT) + _bytes(2, dims)))


def model(name, nodes, tensors, inputs, outputs, opset=13):
    """ModelProto, IR version 7."""
    graph = (
        b"".join(_bytes(1, n) for n in nodes)
        + _bytes(2, name)
        + b"".join(_bytes(5, t) for t in tensors)
        + b"".join(_bytes(11, i) for i in inputs)
        + b"".join(_bytes(12, o) for o in outputs)
    )
    return _int(1, 7) + _bytes(2, "pomona") + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _int(2, opset))
