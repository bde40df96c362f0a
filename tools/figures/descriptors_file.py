"""The descriptors of a run as one file of n×32 bytes and nothing else.

    python descriptors_file.py RUN FILE
"""

import json
import pathlib
import sys

import pyarrow.parquet as pq

rows = 0
with open(sys.argv[2], "wb") as out:
    for file in sorted(pathlib.Path(sys.argv[1], "descriptors").glob("*.parquet")):
        for bits in pq.read_table(file, columns=["descriptor"])["descriptor"].to_pylist():
            out.write(bits)
            rows += 1
print(json.dumps({"rows": rows}))
