"""Search in 60,502 and in 1,000,000 rows of 512 numbers, beside FAISS and hnswlib.

    python -m tests.benchmarks.search [--sizes shop million] [--peers …]

Every index is built once, written to .cache/benchmarks/search, and opened from there by a process
of its own, which asks 500 of the shop's queries at several settings; with the other 500 ours was
tuned. Remove the folder to have them built anew, by changed code.

- ours: exact over float32 rows; the tree that `lookalike publish` builds, over float32 and over
  int8 rows; and what its tuner chose, for a recall of 0.99 (of the million: 0.98);
- peers: FAISS flat, IVF-PQ fast-scan with refinement (its rows in float32; of the million in 8
  bits), the same over 128 principal components, and HNSW; hnswlib.

Recall at 10 is against exact search in float32. `ms` is the median of one query at a time on one
thread; `queries/s` are single queries from as many threads as there are processors. MB is the whole
process at its end, files that it mapped included. Further tables: time and queries/s of all at the
recall that the tuner chose, and filters.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.ticker import FuncFormatter

from function.vectors import DATASET, ROTATION, SCALES, save_vectors
from tests.benchmarks.filters import ASKED, make_filters, save_filters
from tests.benchmarks.million import open_million
from tests.benchmarks.peers import run_peer
from tests.benchmarks.shop import open_shop
from tests.benchmarks.timing import FOLDER, Row, report
from trainer.figures import INK, PALETTE, drawing, png
from trainer.release.indexing import build_index

TARGETS = {"shop": 0.99, "million": 0.98}
# Of the queries, so many tune; the others are asked.
TUNING = 500
RECALL = "recall@10"
TUNED, EXACT = "ours, as tuned", "ours, exact float32"
TREES = {"ours, float32 rows": "float32", "ours, int8 rows": "int8"}
PEERS = ("FAISS flat", "FAISS IVF-PQ", "FAISS PCA, IVF-PQ", "FAISS HNSW", "hnswlib")
ASKING = "queries.npy"
# There are more indices than colours.
MARKERS = {
    TUNED: "*", EXACT: "s", "FAISS flat": "D", "FAISS IVF-PQ": "v", "FAISS PCA, IVF-PQ": "^",
    "FAISS HNSW": "P", "hnswlib": "X",
}  # fmt: skip
_LEAVES = (0.004, 0.008, 0.018, 0.027, 0.042, 0.064, 0.1)
_REORDER = (50, 100)
_NPROBES = {"shop": (4, 6, 9, 14, 21, 32, 48), "million": (16, 24, 36, 54, 80, 120, 180)}
_K_FACTORS = (5, 10)
_EFS = (16, 32, 64, 96, 128, 192, 256, 384)
_ROUNDING = 1e-6

Rows = Float[np.ndarray, "rows 512"]
Queries = Float[np.ndarray, "queries 512"]
Found = Int[np.ndarray, "settings queries 10"]
Settings = list[dict[str, int]]
# An index, its settings, and what it measured and found with each.
Measured = tuple[str, Settings, dict[str, Any], Found]


def opened(size: str) -> tuple[Rows, tuple[Queries, Queries]]:
    """The rows, float32 unit vectors, and the queries: those that tune, those that are asked."""
    if size == "shop":
        shop = open_shop()
        rows, queries = np.array(shop.rows), shop.queries
    else:
        stored, queries = open_million()
        rows = stored.astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows, (queries[:TUNING], queries[TUNING:])


def write_ours(rows: Rows, tuning: Queries, folder: Path, target: float) -> None:
    """Build what `publish` would, once, and the same tree over the other types of rows."""
    if not (folder / "tuned.json").exists():
        shutil.rmtree(folder / "tuned", ignore_errors=True)
        (folder / "tuned").mkdir(parents=True)
        start = time.perf_counter()
        built = build_index(rows, folder / "tuned", recall=target, queries=tuning)
        content = {"seconds": time.perf_counter() - start, "built": asdict(built)}
        (folder / "tuned.json").write_text(json.dumps(content))
    for name, row_type in TREES.items():
        if not (folder / name).exists():
            (folder / name).mkdir()
            for path in (folder / "tuned").iterdir():
                if path.name not in (DATASET, SCALES, ROTATION):
                    (folder / name / path.name).hardlink_to(path)
            save_vectors(rows, folder / name, row_type)


def ours(folder: Path, masks: Path) -> Iterator[Measured]:
    """Measure each of our indices; the tuned one with the filters too."""
    chosen = json.loads((folder / "tuned.json").read_text())["built"]["chosen"]
    ladder = [
        {"leaves_to_search": max(1, round(share * chosen["leaves"])), "reorder": reorder}
        for reorder in _REORDER
        for share in _LEAVES
    ]
    for name in (EXACT, TUNED, *TREES):
        part = {EXACT: "ours, float32 rows", TUNED: "tuned"}.get(name, name)
        kind = "exact" if name == EXACT else chosen["kind"]
        settings: Settings = ladder if name in TREES else [{}]
        (folder / "settings.json").write_text(json.dumps(settings))
        filters = masks if name == TUNED else "-"
        arguments = (folder / part, kind, folder / ASKING, folder / "settings.json", filters)
        command = [sys.executable, "-m", "tests.benchmarks.own_index", *arguments]
        done = subprocess.run(
            [*map(str, command), folder / "found.npy"],
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        measured = json.loads(done.stdout.splitlines()[-1])
        yield name, settings, measured, np.load(folder / "found.npy")


def peers(rows: Rows, folder: Path, size: str, wanted: list[str]) -> Iterator[Measured]:
    """Build each peer's index, once, and measure it."""
    leaves = round(2 * len(rows) ** 0.5)
    refine = "RFlat" if size == "shop" else "Refine(SQ8)"
    factories = {
        "FAISS flat": "Flat",
        "FAISS IVF-PQ": f"IVF{leaves},PQ256x4fs,{refine}",
        "FAISS PCA, IVF-PQ": f"PCAR128,IVF{leaves},PQ64x4fs,{refine}",
        "FAISS HNSW": "HNSW32",
        "hnswlib": "hnswlib",
    }
    probes: Settings = [
        {"nprobe": nprobe, "k_factor": factor} for factor in _K_FACTORS for nprobe in _NPROBES[size]
    ]
    ladders: dict[str, Settings] = {
        "FAISS flat": [{}],
        "FAISS IVF-PQ": probes,
        "FAISS PCA, IVF-PQ": probes,
        "FAISS HNSW": [{"ef": ef} for ef in _EFS],
        "hnswlib": [{"ef": ef} for ef in _EFS],
    }
    for name in wanted:
        index = folder / f"{name}.index"
        if not index.exists():
            vectors = folder / "vectors.npy"
            np.save(vectors, rows)
            begun = folder / f"{name}.begun"
            run_peer("search", "build", factories[name], vectors, begun)
            begun.rename(index)
            vectors.unlink()
        (folder / "settings.json").write_text(json.dumps(ladders[name]))
        measured = run_peer(
            "search", "measure", factories[name], index, folder / ASKING,
            folder / "settings.json", folder / "found.npy",
        )  # fmt: skip
        yield name, ladders[name], measured, np.load(folder / "found.npy")


def tenth_scores(
    rows: Rows,
    queries: Queries,
    masks: Bool[np.ndarray, "filters rows"] | None = None,
    which: Int[np.ndarray, " queries"] | None = None,
) -> Float[np.ndarray, " queries"]:
    """The cosine of each query's tenth nearest (allowed) row."""
    tenth = []
    for start in range(0, len(queries), 50):
        scores = queries[start : start + 50] @ rows.T
        if masks is not None and which is not None:
            scores[~masks[which[start : start + 50]]] = -1
        tenth.append(-np.partition(-scores, 9, axis=1)[:, 9])
    return np.concatenate(tenth)


def recall(
    rows: Rows,
    queries: Queries,
    found: Int[np.ndarray, "queries 10"],
    tenth: Float[np.ndarray, " queries"],
) -> float:
    """The share of the ten nearest that were found; one as near as the tenth counts."""
    scores = np.einsum("qkd,qd->qk", rows[found], queries)
    return float(((scores >= tenth[:, None] - _ROUNDING) & (found >= 0)).mean())


def frontier(table: list[Row], name: str) -> list[Row]:
    """An index's settings, rising in recall, but for those that a faster one equals."""
    rows = [row for row in table if row["index"] == name]
    best: list[Row] = []
    for row in sorted(rows, key=lambda row: (_number(row, RECALL), _number(row, "ms")))[::-1]:
        if not best or _number(row, "ms") < _number(best[-1], "ms"):
            best.append(row)
    return best[::-1]


def at_recall(table: list[Row], name: str, at: float, figure: str) -> float | None:
    """A figure of an index where it reaches a recall, between its settings; None: never."""
    best = frontier(table, name)
    if not best or _number(best[-1], RECALL) < at:
        return None
    recalls, figures = ([_number(row, key) for row in best] for key in (RECALL, figure))
    return float(np.exp(np.interp(at, recalls, np.log(figures))))


def _number(row: Row, key: str) -> float:
    return float(row[key] or 0)


def picture(table: list[Row], size: str, rows: int) -> None:
    """Recall against latency, for the README."""
    names = list(dict.fromkeys(str(row["index"]) for row in table))
    with drawing(8, 5) as figure:
        axes = figure.subplots()
        for number, name in enumerate(names):
            best = frontier(table, name)
            axes.plot(
                [_number(row, "ms") for row in best],
                [_number(row, RECALL) for row in best],
                label=name,
                color=INK if name == TUNED else PALETTE[number % len(PALETTE)],
                marker=MARKERS.get(name, "o"),
                markersize=14 if name == TUNED else 5,
                linestyle="-" if name.startswith("ours") else "--",
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_ylim(0.9, 1.002)
        axes.set_xlabel("ms a query, one thread")
        axes.set_ylabel("recall at 10")
        axes.set_title(f"{rows:,} rows of 512 numbers")
        axes.legend(loc="lower right")
        (FOLDER / f"search-{size}.png").write_bytes(png(figure))


def measure(size: str, wanted: list[str]) -> None:
    rows, (tuning, queries) = opened(size)
    folder = FOLDER / "search" / size
    write_ours(rows, tuning, folder, TARGETS[size])
    np.save(folder / ASKING, queries)
    masks = folder / "masks.npz"
    filters = make_filters(rows, queries)
    save_filters(filters, masks)
    tenth = tenth_scores(rows, queries)
    table: list[Row] = []
    filtered: list[Row] = []
    both = (*ours(folder, masks), *peers(rows, folder, size, wanted))
    for name, settings, measured, found in both:
        for setting, times, of in zip(settings, measured["times"], found, strict=False):
            table.append(
                {
                    "index": name,
                    "setting": " ".join(f"{key}={value}" for key, value in setting.items()),
                    RECALL: recall(rows, queries, of, tenth),
                    **times,
                    "MB": measured["MB"],
                    "load s": measured["load s"],
                }
            )
        if name == TUNED:
            extra = zip(filters.items(), measured["times"][1:], found[1:], strict=True)
            for (kind, (masked, which)), times, of in extra:
                some = queries[:ASKED]
                truth = tenth_scores(rows, some, masked, which)
                reached = recall(rows, some, of[:ASKED], truth)
                filtered.append({"filter": kind, RECALL: reached, **times})
    title = f"{len(rows):,} × {rows.shape[1]}"
    report(f"search-{size}", f"Search in {title}", table)
    report(f"search-{size}-filters", f"Filters on {TUNED[6:]}, {title}", filtered)
    at = next(_number(row, RECALL) for row in table if row["index"] == TUNED)
    names = list(dict.fromkeys(str(row["index"]) for row in table))
    own = {name: at_recall(table, name, at, "ms") for name in (TUNED, *TREES)}
    report(
        f"search-{size}-ratios",
        f"At a recall of {at:.4f}, {title}",
        [
            {
                "index": name,
                "ms": (ms := at_recall(table, name, at, "ms")),
                **{f"× {mine}": _ratio(ms, own[mine]) for mine in own},
                "queries/s": at_recall(table, name, at, "queries/s"),
            }
            for name in names
        ],
    )
    picture(table, size, len(rows))


def _ratio(ms: float | None, own: float | None) -> float | None:
    return ms / own if ms is not None and own is not None else None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    arguments = parser.parse_args()
    for size in arguments.sizes:
        measure(size, arguments.peers)


if __name__ == "__main__":
    main()
