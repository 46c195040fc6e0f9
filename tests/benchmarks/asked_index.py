"""An index that is asked as the function asks it, in a process that imports what serving imports.

    python -m tests.benchmarks.asked_index (files FOLDER | postgres OPENED.json) QUERIES.npy SECONDS
        CLIENTS… --found FOUND.npz

FOLDER holds a release's index and catalogue; OPENED says where tables are and how to search them.
For each number of clients, threads ask single queries for some seconds: the median and the 99th
percentile of their latencies, and queries a second of all. The rows that each query finds, without
a filter and with each label, go to FOUND.
"""

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from function.file_catalog import open_catalog
from function.file_index import FileIndex
from function.filters import EVERYTHING, Label, Selection
from function.index import open_index
from function.manifest import Counts, IndexSetting
from function.postgres.connection import Database
from function.postgres.index import PostgresIndex
from function.postgres.schema import HNSW
from function.postgres.tables import Tables
from tests.benchmarks.peers.asking import K, resident_mb

LABEL = "share"
# Of the products, by chance.
LABELS = {"half": 0.5, "tenth": 0.1, "hundredth": 0.01, "thousandth": 0.001}


def open_files(folder: Path) -> FileIndex:
    kind = json.loads((folder / "kind.json").read_text())
    return FileIndex(open_index(folder / "index", kind), open_catalog(folder / "catalog.sqlite"))


def open_postgres(path: Path, clients: int) -> PostgresIndex:
    told = json.loads(path.read_text())
    tables = Tables(Database(told["url"], clients), told["name"])
    setting = IndexSetting(**told["setting"])
    return PostgresIndex(tables, HNSW, told["dim"], Counts(**told["counts"]), setting)


def at_once(
    search: Callable[[np.ndarray], object], queries: np.ndarray, clients: int, seconds: float
) -> dict[str, float]:
    end = time.perf_counter() + seconds

    def client(number: int) -> list[float]:
        taken = []
        place = number
        while (start := time.perf_counter()) < end:
            search(queries[place % len(queries)])
            taken.append(time.perf_counter() - start)
            place += clients
        return taken

    begun = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        taken = [each for several in pool.map(client, range(clients)) for each in several]
    rate = len(taken) / (time.perf_counter() - begun)
    p50, p99 = (1e3 * float(np.quantile(taken, share)) for share in (0.5, 0.99))
    return {"queries/s": rate, "p50 ms": p50, "p99 ms": p99}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["files", "postgres"])
    parser.add_argument("where", type=Path)
    parser.add_argument("queries", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("clients", type=int, nargs="+")
    parser.add_argument("--found", type=Path, required=True)
    options = parser.parse_args()
    queries = np.load(options.queries)
    index: Any = (
        open_files(options.where)
        if options.kind == "files"
        else open_postgres(options.where, max(options.clients))
    )

    def found(selection: Selection) -> np.ndarray:
        allowed = index.allowed(selection)
        rows = np.full((len(queries), K), -1)
        for place, query in enumerate(queries):
            (hits,) = index.search(query[None], K, allowed)
            rows[place, : len(hits.rows)] = hits.rows
        return rows

    selections = {"all": EVERYTHING} | {name: Selection(Label(LABEL, name)) for name in LABELS}
    np.savez(options.found, **{name: found(each) for name, each in selections.items()})
    measured = [
        at_once(lambda query: index.search(query[None], K), queries, clients, options.seconds)
        for clients in options.clients
    ]
    print(json.dumps({"MB": resident_mb(), "clients": measured}))


if __name__ == "__main__":
    main()
