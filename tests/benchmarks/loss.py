"""Multi-similarity loss, its miner and its gradient, against pytorch-metric-learning.

    python -m tests.benchmarks.loss [--batch 4096] [--repeats 3]

Everything runs in turn, each time in a process of its own, on the same embeddings, with as many
threads as there are processors:

- ours: `multi_similarity_loss` and its gradient, jitted;
- naive: the same formula in jax.numpy, with plain exponentials and no care for degenerate batches;
- PML: MultiSimilarityLoss with MultiSimilarityMiner, forward and backward;
- products alone: the three matrix products that any of them consists of.

Times are the best of those after the first call. Processor seconds are over all threads: what
remains comparable where others use the machine too. MB is the most that the process held beyond
its libraries and the embeddings, with the first call's compiler.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.benchmarks.peers import run_peer
from tests.benchmarks.timing import Row, report
from trainer.losses import multi_similarity_loss

DIM = 512
PHOTOS_PER_PRODUCT = 4
CALLS = 3


def embeddings(batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows about one centre a product, as hard as early in a training: most anchors mine pairs."""
    random = np.random.default_rng(0)
    labels = np.arange(batch) // PHOTOS_PER_PRODUCT
    centres = random.normal(size=(labels[-1] + 1, DIM))
    rows = centres[labels] + 1.8 * random.normal(size=(batch, DIM))
    return rows.astype(np.float32), labels


def naive_loss(rows, labels):
    unit = rows / jnp.linalg.norm(rows, axis=1, keepdims=True)
    similarity = unit @ unit.T
    same = labels[:, None] == labels[None, :]
    positive = same & ~jnp.eye(len(labels), dtype=bool)
    lowest = jnp.where(positive, similarity, jnp.inf).min(1, keepdims=True)
    highest = jnp.where(same, -jnp.inf, similarity).max(1, keepdims=True)
    kept_positive = positive & (similarity - 0.1 < highest)
    kept_negative = ~same & (similarity + 0.1 > lowest)
    attraction = jnp.where(kept_positive, jnp.exp(-2 * (similarity - 0.5)), 0).sum(1)
    repulsion = jnp.where(kept_negative, jnp.exp(50 * (similarity - 0.5)), 0).sum(1)
    return jnp.mean(jnp.log(1 + attraction) / 2 + jnp.log(1 + repulsion) / 50)


def products_alone(rows, labels):
    """As many products as value and gradient have; their sums keep them from being left out."""
    del labels
    similarity = jnp.matmul(rows, rows.T, precision=lax.Precision.HIGHEST)
    gradient = jnp.matmul(similarity, rows, precision=lax.Precision.HIGHEST)
    return jnp.sum(similarity), gradient + jnp.matmul(similarity.T, 2 * rows, precision="highest")


METHODS = {
    "ours": jax.value_and_grad(multi_similarity_loss),
    "naive": jax.value_and_grad(naive_loss),
    "products alone": products_alone,
}


def measure_here(method: str, folder: Path) -> dict[str, Any]:
    step = jax.jit(METHODS[method])
    jax.block_until_ready(step(*embeddings(64)))  # imports and thread pools
    rows, labels = (jnp.asarray(np.load(folder / f"{name}.npy")) for name in ("rows", "labels"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, processor = [], []
    for _ in range(1 + CALLS):
        start, start_cpu = time.perf_counter(), time.process_time()
        value, gradient = jax.block_until_ready(step(rows, labels))
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - start_cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": min(seconds[1:]),
        "processor seconds": min(processor[1:]),
        "MB": (peak - before) / 1e3,
        "MB in all": peak / 1e3,
        "value": float(value),
        "gradient norm": float(jnp.linalg.norm(gradient)),
    }


def measure(method: str, folder: Path) -> dict[str, Any]:
    """In a process of its own, for the peak is never forgotten."""
    if method == "PML":
        return run_peer("loss", folder, os.cpu_count() or 1, CALLS)
    command = [sys.executable, "-m", "tests.benchmarks.loss", "--measure", method, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        method, folder = arguments.measure
        print(json.dumps(measure_here(method, Path(folder))))
        return
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ("ours", "PML", *METHODS)}
    with tempfile.TemporaryDirectory() as folder:
        for name, array in zip(("rows", "labels"), embeddings(arguments.batch), strict=True):
            np.save(Path(folder) / f"{name}.npy", array)
        for _ in range(arguments.repeats):
            for name, results in runs.items():
                results.append(measure(name, Path(folder)))
    for name in ("PML", "naive"):
        for figure in ("value", "gradient norm"):
            np.testing.assert_allclose(runs[name][0][figure], runs["ours"][0][figure], rtol=1e-3)
    best = {
        name: {
            "seconds": min(found["seconds"] for found in results),
            "processor seconds": min(found["processor seconds"] for found in results),
            "MB": max(found["MB"] for found in results),
        }
        for name, results in runs.items()
    }
    table: list[Row] = [
        {
            "": name,
            "ms": 1000 * found["seconds"],
            "processor ms": 1000 * found["processor seconds"],
            "MB": found["MB"],
            "MB in all": max(result["MB in all"] for result in runs[name]),
            "time, ours / this": best["ours"]["seconds"] / found["seconds"],
            "processor, ours / this": best["ours"]["processor seconds"]
            / found["processor seconds"],
            "memory, ours / this": best["ours"]["MB"] / found["MB"],
        }
        for name, found in best.items()
    ]
    title = f"Multi-similarity loss, miner and gradient, float32, {arguments.batch:,} × {DIM}"
    report("loss", title, table)


if __name__ == "__main__":
    main()
