"""Our index as the peers are measured, in a process that imports what serving imports.

python -m tests.benchmarks.own_index FOLDER KIND QUERIES.npy SETTINGS.json MASKS.npz|- FOUND.npy

SETTINGS are what each round of queries searches with: `leaves_to_search`, `reorder`; or nothing: as
the index's own. MASKS are `filters.save_filters`'s, each kind a round more. The rows that are found
go to FOUND, [rounds, queries, 10].
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from function.index import TreeIndex, open_index
from tests.benchmarks.peers.asking import K, resident_mb, timed


def measure(
    folder: Path,
    kind: Any,
    queries: np.ndarray,
    settings: list[dict[str, int]],
    masks: Path | None,
    out: str,
) -> dict[str, Any]:
    start = time.perf_counter()
    index = open_index(folder, kind)
    load_seconds = time.perf_counter() - start
    rows, times = [], []
    for setting in settings:
        asked = index
        if isinstance(index, TreeIndex) and setting:
            asked = index.varied(replace(index.parameters, **setting))
        found, ms, rate = timed(lambda query, asked=asked: asked.search(query, K)[0], queries)
        rows.append(found)
        times.append({"ms": ms, "queries/s": rate})
    result = {"load s": load_seconds, "MB": resident_mb()}
    for allowed in _filters(masks, index.rows) if masks is not None else ():
        pairs = list(zip(queries, allowed, strict=False))
        found, ms, rate = timed(lambda pair: index.search(pair[0], K, pair[1])[0], pairs)
        rows.append(np.pad(found, ((0, len(queries) - len(found)), (0, 0))))
        times.append({"ms": ms, "queries/s": rate})
    np.save(out, np.array(rows))
    return result | {"times": times}


def _filters(path: Path, rows: int) -> Iterator[list[np.ndarray]]:
    """For each kind of filter, that of each query, [rows] bools."""
    with np.load(path) as arrays:
        for name in json.loads(str(arrays["names"])):
            allowed = np.unpackbits(arrays[name], axis=1, count=rows).astype(np.bool_)
            yield [allowed[which] for which in arrays[f"{name} which"]]


def main() -> None:
    folder, kind, queries, settings, masks, out = sys.argv[1:]
    content = json.loads(Path(settings).read_text())
    filters = None if masks == "-" else Path(masks)
    print(json.dumps(measure(Path(folder), kind, np.load(queries), content, filters, out)))


if __name__ == "__main__":
    main()
