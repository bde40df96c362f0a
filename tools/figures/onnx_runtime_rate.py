"""How many images a second ONNX Runtime alone runs: two sessions of one thread each, tensors ready.

    python onnx_runtime_rate.py NETWORK.onnx [BATCH]

Tries batches of 1, 2, 4 and 8 on some images, unless told which, then measures as many images as there are reference
photos with the best one: the highest of several short trials would be part luck. Prints one line of JSON.
"""

import json
import sys
import threading
import time

import numpy as np
import onnxruntime as ort

TRIAL = 400
IMAGES = 1142


def session():
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])


def rate(batch, sessions, images):
    name = sessions[0].get_inputs()[0].name
    tensor = np.random.default_rng(1).uniform(-1, 1, (batch, 224, 224, 3)).astype("f4")
    rounds = images // batch // len(sessions)

    def work(one):
        for _ in range(rounds):
            one.run(None, {name: tensor})

    for one in sessions:
        one.run(None, {name: tensor})
    threads = [threading.Thread(target=work, args=(one,)) for one in sessions]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(sessions) * rounds * batch / (time.perf_counter() - began)


sessions = [session(), session()]
if len(sys.argv) > 2:
    best = int(sys.argv[2])
else:
    best = max((1, 2, 4, 8), key=lambda batch: rate(batch, sessions, TRIAL))
print(
    json.dumps(
        {
            "images_per_second": rate(best, sessions, IMAGES),
            "batch": best,
            "version": ort.__version__,
        }
    )
)
