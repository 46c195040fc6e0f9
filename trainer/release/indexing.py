"""The index over a catalogue's vectors: built, tuned, and its recall measured."""

from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil, sqrt
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from function.index import DATASET, ApproximateSearch, Index, ScannIndex

# Exact search up to here. At 512 dimensions on one CPU core it takes 0.07 ms for 2,000 rows, 0.2
# for 5,000, 0.7 for 10,000, 1.5 for 20,000 and 4.0 for 50,000, and finds all ten neighbours; a tree
# that finds 9 of 10 takes 0.04 to 0.2 ms, and 1 to 14 s to build. Beside some 20 ms for the network
# exact is the faster way to a full answer below this size; above, a tree is.
EXACT_ROWS = 20_000

# What the tree is tuned to find, at the least number of leaves read.
TARGET_RECALL_AT_10 = 0.95

# Vectors that train the clusters and the quantiser; more adds time, hardly recall.
_TRAINING_SAMPLE = 100_000

# Rows of the catalogue that ask for their own neighbours when recall is measured.
_RECALL_QUERIES = 500

# Quantised scores computed again exactly: ten times a page of ten, and some.
_REORDER = 200

Vectors = Float[np.ndarray, "rows dim"]


@dataclass(frozen=True)
class BuiltIndex:
    """What was built.

    Attributes:
        kind: "exact" or "scann".
        recall_at_10: share of a row's true ten nearest others that the index finds.
    """

    kind: Literal["exact", "scann"]
    recall_at_10: float


def build_index(vectors: Vectors, folder: Path, *, exact_rows: int = EXACT_ROWS) -> BuiltIndex:
    """Write an index of unit vectors into an existing, empty folder.

    Exact up to `exact_rows` rows, and wherever ScaNN has no package; above, a tree of about
    sqrt(rows) leaves with anisotropic 4-bit quantisation (Guo et al., "Accelerating Large-Scale
    Inference with Anisotropic Vector Quantization", ICML 2020) and exact reordering.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    if find_spec("scann") is None:
        np.save(folder / DATASET, vectors)
        return BuiltIndex("exact", 1.0)
    if len(vectors) <= exact_rows:
        _builder(vectors).score_brute_force().build().serialize(str(folder), relative_path=True)
        return BuiltIndex("exact", 1.0)
    return _build_tree(vectors, folder)


def _builder(vectors: Vectors) -> Any:
    from scann.scann_ops.py import scann_ops_pybind

    return scann_ops_pybind.builder(vectors, 10, "dot_product")


def _build_tree(vectors: Vectors, folder: Path) -> BuiltIndex:
    rows = len(vectors)
    leaves = max(1, round(sqrt(rows)))
    sample = min(rows, _TRAINING_SAMPLE)
    searcher = (
        _builder(vectors)
        .tree(leaves, num_leaves_to_search=leaves, training_sample_size=sample)
        .score_ah(2, anisotropic_quantization_threshold=0.2, training_sample_size=sample)
        .reorder(_REORDER)
        .build()
    )
    searcher.serialize(str(folder), relative_path=True)
    queries = np.random.default_rng(0).permutation(rows)[:_RECALL_QUERIES]
    leaves_to_search = max(1, leaves // 50)
    while True:
        search = ApproximateSearch(leaves, leaves_to_search, _REORDER)
        index = ScannIndex(searcher, vectors, search)
        recall = recall_at_10(index, vectors, queries)
        if recall >= TARGET_RECALL_AT_10 or leaves_to_search == leaves:
            search.save(folder)
            return BuiltIndex("scann", recall)
        leaves_to_search = min(leaves, ceil(leaves_to_search * 1.5))


def recall_at_10(index: Index, vectors: Vectors, queries: Int[np.ndarray, " queries"]) -> float:
    """Measure how many of the ten nearest others the index finds, over catalogue rows.

    A query's own row is left out by its number. A row as near as the tenth counts as found, so
    that duplicates of a photo, which are in no order, cost nothing.

    Args:
        index: over `vectors`.
        vectors: unit rows.
        queries: row numbers.

    Returns:
        Between 0 and 1; 1 where there are no other rows.
    """
    wanted = min(10, len(vectors) - 1)
    if wanted == 0:
        return 1.0
    hits = 0
    for query in queries:
        scores = vectors @ vectors[query]
        found, _ = index.search(vectors[query], wanted + 1)
        found = found[found != query][:wanted]
        scores[query] = -np.inf
        tenth = np.partition(scores, -wanted)[-wanted]
        hits += int((scores[found] >= tenth - 1e-6).sum())
    return hits / (wanted * len(queries))
