"""Leave-one-out metrics in blocks, against the full matrix in NumPy and against the product alone.

    python -m tests.benchmarks.metrics [--rows 4000 16000] [--full-matrix-up-to 8000]

`--rows 60502 --full-matrix-up-to 0` is the size of Stanford Online Products' test set. The full
matrix also holds its sorted order, 64 bits an entry. Peak memory is what a process of its own
needed beyond the embeddings and the libraries.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.benchmarks.timing import Row, report
from trainer.evaluation.metrics import retrieval_metrics

DIM = 512
PHOTOS_PER_PRODUCT = 5
BLOCK = 1024


def embeddings(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows of noisy classes, about as far apart as a trained network's."""
    random = np.random.default_rng(0)
    labels = np.arange(rows) // PHOTOS_PER_PRODUCT
    vectors = random.normal(size=(labels[-1] + 1, DIM))[labels] + 3 * random.normal(
        size=(rows, DIM)
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), labels


def blockwise(vectors: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    itself = np.arange(len(labels))
    metrics = retrieval_metrics(vectors, labels, vectors, labels, self_index=itself, block=BLOCK)
    return {"recall": metrics.recall_at[1], "map": metrics.map_at_r}


def full_matrix(vectors: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    order = np.argsort(-scores, axis=1)
    relevant = labels[order] == labels[:, None]
    count = (labels == labels[:, None]).sum(1) - 1
    place = np.arange(1, len(labels) + 1)
    within = relevant & (place <= count[:, None])
    average = (within * relevant.cumsum(1) / place).sum(1) / np.maximum(count, 1)
    counted = count > 0
    return {"recall": float(relevant[counted, 0].mean()), "map": float(average[counted].mean())}


def product_alone(vectors: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The arithmetic that no method is spared: all similarities, each block summed and dropped."""
    blocks = np.pad(vectors, ((0, -len(vectors) % BLOCK), (0, 0))).reshape(-1, BLOCK, DIM)
    gallery = jnp.asarray(blocks)

    @jax.jit
    def total(queries):
        def add(sums, block):
            return sums + jnp.matmul(queries, block.T, precision=lax.Precision.HIGHEST).sum(), None

        return lax.scan(add, jnp.float32(0), gallery)[0]

    return {"sum": sum(float(total(queries)) for queries in blocks)}


METHODS = {method.__name__: method for method in (blockwise, full_matrix, product_alone)}


def measure_here(method: str, rows: int) -> dict[str, float]:
    vectors, labels = embeddings(rows)
    METHODS[method](*embeddings(3 * PHOTOS_PER_PRODUCT))  # imports and thread pools
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    result = METHODS[method](vectors, labels)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": seconds, "megabytes": peak / 1e3, **result}


def measure(method: str, rows: int) -> dict[str, float]:
    """In a process of its own, for the peak is never forgotten."""
    command = [sys.executable, "-m", "tests.benchmarks.metrics", "--measure", method, str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[4000, 16000])
    parser.add_argument("--full-matrix-up-to", type=int, default=8000)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        method, rows = arguments.measure
        print(json.dumps(measure_here(method, int(rows))))
        return
    table: list[Row] = []
    for rows in arguments.rows:
        ours, limit = measure("blockwise", rows), measure("product_alone", rows)
        row: Row = {
            "rows": f"{rows:,} × {DIM}",
            "s": ours["seconds"],
            "MB": ours["megabytes"],
            "product alone s": limit["seconds"],
            "ours / product": ours["seconds"] / limit["seconds"],
            "full matrix s": None,
            "full matrix MB": None,
            "ours / full": None,
        }
        if rows <= arguments.full_matrix_up_to:
            full = measure("full_matrix", rows)
            np.testing.assert_allclose(ours["map"], full["map"], atol=1e-4)
            row |= {
                "full matrix s": full["seconds"],
                "full matrix MB": full["megabytes"],
                "ours / full": ours["seconds"] / full["seconds"],
            }
        table.append(row)
    report("metrics", "Leave-one-out R@1 and MAP@R", table)


if __name__ == "__main__":
    main()
