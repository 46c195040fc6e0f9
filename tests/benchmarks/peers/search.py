"""FAISS and hnswlib over the same vectors, for tests.benchmarks.search.

python search.py build INDEX VECTORS.npy FILE
python search.py measure INDEX FILE QUERIES.npy SETTINGS.json FOUND.npy

INDEX is a FAISS factory string, or "hnswlib". SETTINGS are what each round of queries searches
with; the rows that it finds go to FOUND, [settings, queries, 10].
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import hnswlib
import numpy as np
from asking import Search, resident_mb, timed

K = 10
HNSWLIB = "hnswlib"
M, EF_CONSTRUCTION = 16, 200
TRAINING_ROWS = 100_000
BLOCK = 50_000


def build(kind: str, vectors: np.ndarray, path: str) -> None:
    rows, dim = vectors.shape
    if kind == HNSWLIB:
        index = hnswlib.Index("ip", dim)
        index.init_index(rows, M=M, ef_construction=EF_CONSTRUCTION)
        for start in range(0, rows, BLOCK):
            index.add_items(vectors[start : start + BLOCK].astype(np.float32))
        index.save_index(path)
        return
    index = faiss.index_factory(dim, kind, faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        sample = np.random.default_rng(0).permutation(rows)[:TRAINING_ROWS]
        index.train(vectors[np.sort(sample)].astype(np.float32))
    for start in range(0, rows, BLOCK):
        index.add(vectors[start : start + BLOCK].astype(np.float32))
    faiss.write_index(index, path)


def opened(kind: str, dim: int, path: str) -> tuple[Callable[[dict[str, int]], None], Search]:
    """What applies a setting, and what searches for one query."""
    if kind == HNSWLIB:
        graph = hnswlib.Index("ip", dim)
        graph.load_index(path)
        return (
            lambda setting: graph.set_ef(setting["ef"]),
            lambda query: graph.knn_query(query, K, num_threads=1)[0][0],
        )
    index = faiss.read_index(path)
    refines = isinstance(index, faiss.IndexRefine)
    inner = faiss.downcast_index(index.base_index) if refines else index

    def apply(setting: dict[str, int]) -> None:
        if "nprobe" in setting:
            faiss.extract_index_ivf(inner).nprobe = setting["nprobe"]
        if "k_factor" in setting:
            index.k_factor = setting["k_factor"]
        if "ef" in setting:
            index.hnsw.efSearch = setting["ef"]

    return apply, lambda query: index.search(query, K)[1][0]


def measure(
    kind: str, path: str, queries: np.ndarray, settings: list[dict[str, int]], out: str
) -> dict[str, Any]:
    start = time.perf_counter()
    apply, search = opened(kind, queries.shape[1], path)
    load_seconds = time.perf_counter() - start
    faiss.omp_set_num_threads(1)
    rows, times = [], []
    for setting in settings:
        apply(setting)
        found, ms, rate = timed(search, queries[:, None])
        rows.append(found)
        times.append({"ms": ms, "queries/s": rate})
    np.save(out, np.array(rows))
    return {"load s": load_seconds, "MB": resident_mb(), "times": times}


def main() -> None:
    if sys.argv[1] == "build":
        kind, vectors, path = sys.argv[2:]
        start = time.perf_counter()
        build(kind, np.load(vectors, mmap_mode="r"), path)
        print(json.dumps({"build s": time.perf_counter() - start}))
        return
    kind, path, queries, settings, out = sys.argv[2:]
    content = json.loads(Path(settings).read_text())
    print(json.dumps(measure(kind, path, np.load(queries), content, out)))


if __name__ == "__main__":
    main()
