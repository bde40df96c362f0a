"""How many images a second ONNX Runtime alone runs: two sessions of one thread each, tensors ready.

    python onnx_runtime_rate.py NETWORK.onnx

Tries batches of 1, 2, 4 and 8 and prints the best as one line of JSON.
"""

import json
import sys
import threading
import time

import numpy as np
import onnxruntime as ort

IMAGES = 600


def session():
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])


def rate(batch, sessions):
    name = sessions[0].get_inputs()[0].name
    tensor = np.random.default_rng(1).uniform(-1, 1, (batch, 224, 224, 3)).astype("f4")
    rounds = IMAGES // batch

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
rates = {batch: rate(batch, sessions) for batch in (1, 2, 4, 8)}
best = max(rates, key=rates.get)
print(json.dumps({"images_per_second": rates[best], "batch": best, "version": ort.__version__}))
