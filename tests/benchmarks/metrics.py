"""Leave-one-out R@1…1000, MAP@R and R-precision, against pytorch-metric-learning with FAISS.

    python -m tests.benchmarks.metrics [--rows 60502] [--repeats 2]

60,502 rows are Stanford Online Products' test set. Everything runs in turn, each time in a process
of its own, on the same vectors, with as many threads as there are processors:

- ours: `retrieval_metrics` with ks=1…1000, compiling included;
- PML, k="max_bin_count": AccuracyCalculator with what R@1, R-precision and MAP@R need of FAISS's
  neighbours, no recall beyond; PML, k=1000: with as many as the recalls need, which it cannot give;
- FAISS R@k: the recalls from FAISS's 1,000 nearest, as who wants both adds to the former;
- product alone: all similarities in blocks, each summed and dropped. Ours needs half of them.

Processor seconds are over all threads: what remains comparable where others use the machine too.
MB is the most that a process held beyond its libraries and the vectors, and in all.
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
from trainer.evaluation.metrics import retrieval_metrics

SOP_TEST_PHOTOS = 60_502
DIM = 512
BLOCK = 512
DEPTHS = range(1, 1001)
FIGURES = {"R@1", "R@1000", "R-precision", "MAP@R"}
PEERS = {"PML, k=max_bin_count": "max_bin_count", "PML, k=1000": "1000", "FAISS R@k": "recalls"}


def embeddings(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows of products with 2 to 12 photos each, as hard as a trained network's.

    Products lie in twelve categories, their photos spread about them by amounts that differ.
    """
    random = np.random.default_rng(0)
    sizes = np.minimum(2 + random.poisson(3.35, size=rows), 12)
    labels = np.repeat(np.arange(rows), sizes)[:rows]
    products = labels[-1] + 1
    centres = random.normal(size=(12, DIM))[random.integers(12, size=products)]
    centres = centres + random.normal(size=(products, DIM))
    spread = random.gamma(4.0, 0.55, size=(rows, 1))
    vectors = centres[labels] + spread * random.normal(size=(rows, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = random.permutation(rows)
    return vectors[order].astype(np.float32), labels[order]


def ours(vectors: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    itself = np.arange(len(labels))
    metrics = retrieval_metrics(
        vectors, labels, vectors, labels, self_index=itself, ks=DEPTHS, block=BLOCK
    )
    recall = metrics.recall_at
    return {
        "R@1": recall[1],
        "R@1000": recall[1000],
        "R-precision": metrics.r_precision,
        "MAP@R": metrics.map_at_r,
    }


def product_alone(vectors: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The arithmetic of a method that uses no symmetry."""
    blocks = np.pad(vectors, ((0, -len(vectors) % BLOCK), (0, 0))).reshape(-1, BLOCK, DIM)
    gallery = jnp.asarray(blocks)

    @jax.jit
    def total(queries):
        def add(sums, block):
            return sums + jnp.matmul(queries, block.T, precision=lax.Precision.HIGHEST).sum(), None

        return lax.scan(add, jnp.float32(0), gallery)[0]

    return {"sum": sum(float(total(queries)) for queries in blocks)}


METHODS = {"ours": ours, "product alone": product_alone}


def measure_here(method: str, folder: Path) -> dict[str, float]:
    METHODS[method](*embeddings(64))  # imports and thread pools
    vectors, labels = np.load(folder / "vectors.npy"), np.load(folder / "labels.npy")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, start_cpu = time.perf_counter(), time.process_time()
    result = METHODS[method](vectors, labels)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = {"MB": (peak - before) / 1e3, "MB in all": peak / 1e3}
    return {"seconds": seconds, "processor seconds": cpu, **megabytes, **result}


def measure(method: str, folder: Path) -> dict[str, Any]:
    """In a process of its own, for the peak is never forgotten."""
    if method in PEERS:
        return run_peer("metrics", PEERS[method], folder, os.cpu_count() or 1)
    command = [sys.executable, "-m", "tests.benchmarks.metrics", "--measure", method, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=SOP_TEST_PHOTOS)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        method, folder = arguments.measure
        print(json.dumps(measure_here(method, Path(folder))))
        return
    names = ["ours", *PEERS, "product alone"]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        for name, array in zip(("vectors", "labels"), embeddings(arguments.rows), strict=True):
            np.save(Path(folder) / f"{name}.npy", array)
        for _ in range(arguments.repeats):
            for name in names:
                runs[name].append(measure(name, Path(folder)))
    for name in PEERS:
        for figure in FIGURES & runs[name][0].keys():
            np.testing.assert_allclose(runs["ours"][0][figure], runs[name][0][figure], atol=2e-4)
    best = {name: min(found["seconds"] for found in results) for name, results in runs.items()}
    table: list[Row] = [
        {
            "": name,
            "s": best[name],
            "processor s": min(found["processor seconds"] for found in results),
            "ours / this": best["ours"] / best[name],
            "MB": max(found["MB"] for found in results),
            "MB in all": max(found["MB in all"] for found in results),
            **{figure: results[0].get(figure) for figure in sorted(FIGURES)},
        }
        for name, results in runs.items()
    ]
    report(
        "metrics", f"Leave-one-out, {arguments.rows:,} × {DIM}, best of {arguments.repeats}", table
    )


if __name__ == "__main__":
    main()
