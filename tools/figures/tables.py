"""Reading what Pomona writes: Parquet folders of lists, and model files."""

import json
import pathlib

import numpy as np
import pyarrow.parquet as pq


def lists(place, column):
    """Paths, labels and an n×D array of a Parquet file, or of a folder of them in the order of their names."""
    place = pathlib.Path(place)
    files = sorted(place.glob("*.parquet")) if place.is_dir() else [place]
    paths, labels, rows = [], [], []
    for file in files:
        table = pq.read_table(file)
        if table.num_rows == 0:
            continue
        paths += table["path"].to_pylist()
        labels += table["label"].to_pylist()
        values = table[column].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        rows.append(values.reshape(table.num_rows, -1))
    return paths, labels, np.concatenate(rows)


def model(file):
    """The numbers of a model file by the names of their sections."""
    data = pathlib.Path(file).read_bytes()
    first, second, rest = data.split(b"\n", 2)
    assert first.startswith(b"POMONA MODEL "), first
    length = int(second.split()[1])
    header = json.loads(rest[:length])
    at, sections = length, {}
    for section in header["sections"]:
        kind = {"f64": "<f8", "f32": "<f4", "bytes": "u1"}[section["type"]]
        size = np.dtype(kind).itemsize * section["values"]
        sections[section["name"]] = np.frombuffer(rest[at : at + size], kind)
        at += size
    assert len(rest) - at == 32, "the seal is 32 bytes"
    return header["model"], sections
