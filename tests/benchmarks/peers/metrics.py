"""Leave-one-out metrics by pytorch-metric-learning and FAISS, for tests.benchmarks.metrics.

python metrics.py max_bin_count|K|recalls FOLDER THREADS
"""

import json
import resource
import sys
import time
from pathlib import Path

import faiss
import numpy as np
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

DEEPEST = 1000


def accuracy(vectors: np.ndarray, labels: np.ndarray, k: int | str) -> dict[str, float]:
    include = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    calculator = AccuracyCalculator(include=include, k=k, device=torch.device("cpu"))
    found = calculator.get_accuracy(
        torch.from_numpy(vectors), torch.from_numpy(labels), ref_includes_query=False
    )
    return {
        "R@1": found["precision_at_1"],
        "R-precision": found["r_precision"],
        "MAP@R": found["mean_average_precision_at_r"],
    }


def recalls(vectors: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    neighbours = index.search(vectors, min(DEEPEST + 1, len(vectors)))[1]
    relevant = labels[neighbours] == labels[:, None]
    relevant &= neighbours != np.arange(len(labels))[:, None]
    counted = np.bincount(labels)[labels] > 1
    # The query itself stands first but for copies of it; all others move up by one.
    by_depth = np.logical_or.accumulate(relevant[counted, 1:], axis=1).mean(axis=0)
    return {"R@1": float(by_depth[0]), f"R@{DEEPEST}": float(by_depth[-1])}


def measured(method: str, vectors: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    if method == "recalls":
        return recalls(vectors, labels)
    return accuracy(vectors, labels, int(method) if method.isdecimal() else method)


def main() -> None:
    method, folder, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    random = np.random.default_rng(0)  # for imports and thread pools
    measured("recalls", random.random((64, 8), np.float32), np.arange(64) // 2)
    measured("max_bin_count", random.random((64, 8), np.float32), np.arange(64) // 2)
    vectors, labels = np.load(folder / "vectors.npy"), np.load(folder / "labels.npy")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, start_cpu = time.perf_counter(), time.process_time()
    result = measured(method, vectors, labels)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result |= {"seconds": seconds, "processor seconds": cpu}
    result |= {"MB": (peak - before) / 1e3, "MB in all": peak / 1e3}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
