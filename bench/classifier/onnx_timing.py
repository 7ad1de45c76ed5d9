"""Times ONNX Runtime as `workers/classifier/examples/timing.rs` times the classifier: the same lines in and out."""

import sys
import time

import numpy as np
import onnxruntime


def session(model: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, 3, 32, 32), dtype=np.float32)


def main() -> None:
    model, threads = sys.argv[1], int(sys.argv[2])
    started = time.perf_counter()
    network = session(model, threads)
    network.run(None, {"images": images(1)})
    print("onnxruntime", time.perf_counter() - started, flush=True)
    for line in sys.stdin:
        batch, calls, _ = (int(word) for word in line.split())
        feed = {"images": images(batch)}
        seconds = []
        for _ in range(calls):
            started = time.perf_counter()
            network.run(None, feed)
            seconds.append(time.perf_counter() - started)
        seconds.sort()
        print(seconds[calls // 2], seconds[0], flush=True)


if __name__ == "__main__":
    main()
