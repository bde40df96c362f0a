"""A folder of Parquet files with random features, the same each time.

    python many_features.py FOLDER ROWS COLUMNS FILES
"""

import json
import pathlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

folder = pathlib.Path(sys.argv[1])
rows, columns, files = (int(word) for word in sys.argv[2:5])
folder.mkdir(parents=True)
random = np.random.default_rng(7)
mix = random.standard_normal((columns, columns)).astype(np.float32) / np.float32(columns) ** 0.5
written = 0
for number in range(files):
    count = rows * (number + 1) // files - written
    values = random.standard_normal((count, columns), dtype=np.float32) @ mix
    lists = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), columns)
    names = [f"{written + row:06}.jpg" for row in range(count)]
    labels = [f"label {row % 10}" for row in range(count)]
    table = pa.table({"path": names, "label": labels, "features": lists})
    pq.write_table(table, folder / f"features-{number:05}.parquet")
    written += count
print(json.dumps({"rows": written}))
