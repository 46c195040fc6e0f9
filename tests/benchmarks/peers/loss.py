"""pytorch-metric-learning's multi-similarity loss with its miner, for tests.benchmarks.loss.

python loss.py FOLDER THREADS CALLS
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.miners import MultiSimilarityMiner

LOSS = MultiSimilarityLoss(alpha=2, beta=50, base=0.5)
MINER = MultiSimilarityMiner(epsilon=0.1)


def step(rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Forward and backward; the gradient is left in `rows.grad`."""
    rows.grad = None
    loss = LOSS(rows, labels, MINER(rows, labels))
    loss.backward()
    return loss.detach()


def main() -> None:
    folder, threads, calls = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    step(torch.randn(64, 8, requires_grad=True), torch.arange(64) // 2)  # thread pools
    rows = torch.from_numpy(np.load(folder / "rows.npy")).requires_grad_()
    labels = torch.from_numpy(np.load(folder / "labels.npy"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, processor = [], []
    for _ in range(1 + calls):
        start, start_cpu = time.perf_counter(), time.process_time()
        value = step(rows, labels)
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - start_cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = {
        "seconds": min(seconds[1:]),
        "processor seconds": min(processor[1:]),
        "MB": (peak - before) / 1e3,
        "MB in all": peak / 1e3,
        "value": value.item(),
        "gradient norm": rows.grad.norm().item(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
