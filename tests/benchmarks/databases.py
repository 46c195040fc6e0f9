"""The two keepers of an index side by side: a release's files, and PostgreSQL with pgvector.

    python -m tests.benchmarks.databases [--rows 1000000] [--recall 0.98]

The rows are the first of `million`'s, four to a product; of the products a half, a tenth and so on
carry a label. Both keepers are filled as `lookalike publish` fills them and tuned to the same
recall; then a process of its own asks each through `VectorIndex.search`, as the function does, one
query at a time from one client and from four, without a filter and with each label.

- load s: rows to where they lie: the catalogue in a file, or COPY into tables with their keys.
- build s: ScaNN's tree and its tuning; or pgvector's graph with the other indexes, and its tuning.
- memory MB: of the process that asks, mapped files included; and of the server, shared memory once.
- disk MB: files; or tables and indexes.
- recall@10 is against exact search in float32. Latencies are of single queries, in ms.

The server runs on this machine and shares its processors with who asks. `--build-memory` is its
maintenance_work_mem: a graph that outgrows it is built many times slower.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from function.catalog import ImageRow, Product
from function.file_catalog import write_catalog
from tests.benchmarks.asked_index import LABEL, LABELS
from tests.benchmarks.million import open_million
from tests.benchmarks.search import recall, tenth_scores
from tests.benchmarks.shop import SHOP
from tests.benchmarks.timing import FOLDER, Row, report
from tests.postgres import PostgresServer, run_postgres
from trainer.release.contents import Contents
from trainer.release.database.connection import database_at
from trainer.release.database.release import Numbers, Vectors, load_release
from trainer.release.database.tuning import Neighbours, tune
from trainer.release.indexing import build_index

PHOTOS_OF_EACH = 4
CLIENTS = (1, 4)
SECONDS = 20.0

Rows = Float[np.ndarray, "rows dim"]
Masks = dict[str, Bool[np.ndarray, " rows"]]


def contents_of(rows: Rows) -> tuple[Contents, Masks]:
    """The rows as photos of products, and which of them each label lets through."""
    random = np.random.default_rng(0)
    count = -(-len(rows) // PHOTOS_OF_EACH)
    drawn = {name: random.random(count) < share for name, share in LABELS.items()}
    products = [
        Product(
            f"p{number}",
            f"Product {number}",
            "things",
            labels=tuple((LABEL, name) for name, has in drawn.items() if has[number]),
        )
        for number in range(count)
    ]
    owner = np.arange(len(rows)) // PHOTOS_OF_EACH
    images = [
        ImageRow(row, f"p{product}", str(row), url=f"https://shop.example/{row}.jpg")
        for row, product in enumerate(owner.tolist())
    ]
    masks = {name: has[owner] for name, has in drawn.items()}
    return Contents(rows, images, products, None), masks


def fill_files(contents: Contents, queries: Rows, target: float, folder: Path) -> dict[str, Any]:
    """Write a release's catalogue and index."""
    (folder / "index").mkdir(parents=True)
    start = time.perf_counter()
    write_catalog(folder / "catalog.sqlite", contents.products, contents.images)
    loaded = time.perf_counter()
    built = build_index(contents.vectors, folder / "index", recall=target, queries=queries)
    done = time.perf_counter()
    (folder / "kind.json").write_text(json.dumps(built.chosen.kind))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"load s": loaded - start, "build s": done - loaded, "disk MB": size / 1e6}


@contextmanager
def filled_database(
    contents: Contents, queries: Rows, target: float, memory: str, options: str
) -> Iterator[tuple[PostgresServer, dict[str, Any], dict[str, Any]]]:
    """A server with a release; what filling it took, and how it is opened."""
    configuration = (
        f"shared_buffers = 2GB\nmaintenance_work_mem = {memory}\nmax_wal_size = 8GB\n"
        "max_parallel_maintenance_workers = 2\n"
    )
    with run_postgres(configuration) as server:
        neighbours = Neighbours.of(contents.vectors, queries)
        loaded_at = [0.0]

        def witness(numbers: Numbers, vectors: Vectors) -> None:
            neighbours.see(numbers, vectors)
            loaded_at[0] = time.perf_counter()

        start = time.perf_counter()
        with load_release(
            database_at(server.url()),
            [contents],
            dim=contents.vectors.shape[1],
            rows=len(contents.images),
            witness=witness,
            options=options,
        ) as loaded:
            built = time.perf_counter()
            chosen = tune(loaded, neighbours, target)[-1]
            done = time.perf_counter()
            took = {
                "load s": loaded_at[0] - start,
                "build s": done - loaded_at[0],
                "disk MB": loaded.megabytes,
            }
            print(f"indexes {built - loaded_at[0]:,.0f} s, tuning {done - built:,.0f} s: {chosen}")
            opened = {
                "url": server.url(),
                "name": loaded.name,
                "dim": loaded.dim,
                "counts": asdict(loaded.counts),
                "setting": asdict(chosen),
            }
            yield server, took, opened


def server_mb(server: PostgresServer) -> float:
    """The memory of all its processes, what they share counted once."""
    total = 0
    for pid in (server.pid, *server.children()):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(
            next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1]
        )
    return total / 1e3


def ask(kind: str, opened: Path, queries: Path, folder: Path) -> dict[str, Any]:
    """What a process of its own measures; see `asked_index`."""
    command = [sys.executable, "-m", "tests.benchmarks.asked_index", kind, str(opened)]
    command += [
        str(queries),
        str(SECONDS),
        *map(str, CLIENTS),
        "--found",
        str(folder / "found.npz"),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def recalls(rows: Rows, queries: Rows, masks: Masks, found: Path) -> dict[str, float]:
    """Recall at 10 without a filter, and with each label."""
    told: dict[str, float] = {}
    everything = {"": np.ones(len(rows), bool)}
    with np.load(found) as arrays:
        for name, mask in (everything | masks).items():
            allowed = np.flatnonzero(mask)
            tenth = tenth_scores(rows[allowed], queries)
            told[f"recall@10 {name}".strip()] = recall(rows, queries, arrays[name or "all"], tenth)
    return told


def measured_row(
    name: str, took: dict[str, Any], measured: dict[str, Any], recalls: dict[str, float], mb: str
) -> Row:
    speed: dict[str, Any] = {}
    for clients, each in zip(CLIENTS, measured["clients"], strict=True):
        speed |= {f"{clients}: {key}": value for key, value in each.items()}
    return {"": name, **took, "memory MB": mb, **recalls, **speed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--recall", type=float, default=0.98)
    parser.add_argument("--build-memory", default="4GB")
    parser.add_argument("--options", default="", help="of the graph: m = 16, ef_construction = 64")
    options = parser.parse_args()
    stored, queries = open_million()
    rows = stored[: options.rows].astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    contents, masks = contents_of(rows)
    asked = SHOP / "queries.npy"
    table: list[Row] = []
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        folder = Path(scratch)
        took = fill_files(contents, queries, options.recall, folder / "files")
        measured = ask("files", folder / "files", asked, folder)
        reached = recalls(rows, queries, masks, folder / "found.npz")
        table.append(measured_row("files", took, measured, reached, f"{measured['MB']:,.0f}"))
        with filled_database(
            contents, queries, options.recall, options.build_memory, options.options
        ) as (server, took, opened):
            (folder / "opened.json").write_text(json.dumps(opened))
            measured = ask("postgres", folder / "opened.json", asked, folder)
            mb = f"{measured['MB']:,.0f} + {server_mb(server):,.0f}"
        reached = recalls(rows, queries, masks, folder / "found.npz")
        table.append(measured_row("PostgreSQL", took, measured, reached, mb))
    names = list(table[0])
    turned: list[Row] = [
        {f"{len(rows):,} × {rows.shape[1]}": name, "files": one, "PostgreSQL": other}
        for name, one, other in ((name, table[0][name], table[1][name]) for name in names[1:])
    ]
    title = f"Index and catalogue in files and in PostgreSQL, {options.build_memory} to build in"
    report(f"databases-{len(rows)}", title, turned)


if __name__ == "__main__":
    main()
