"""The index over a catalogue's vectors: built, and tuned to a recall."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import pairwise
from math import inf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int

from function.index import CENTROIDS, LEAVES, PROJECTION, ApproximateSearch, open_tree
from function.manifest import IndexSetting, RowType
from function.vectors import open_vectors, save_vectors
from trainer.progress import console, progress_bar
from trainer.release.projection import Projection, projection_to, projections
from trainer.release.tuning import (
    Probe,
    Queries,
    Vectors,
    choose,
    exact_setting,
    megabytes,
    most_steps,
    tree_settings,
)

# What the index is tuned to find of a query's ten nearest rows.
DEFAULT_RECALL = 0.99

# Searched exactly without a tree's being tried. A tree of so few rows saves less time than the
# network's own varies by, and ScaNN's import delays a cold start by 0.3 s.
EXACT_ROWS = 5_000

# Vectors that train the clusters and the quantiser; more adds time, hardly recall.
_TRAINING_SAMPLE = 100_000

# The fewest leaves that are tried, and their growth from one tree to the next. 60,502 rows are
# found soonest in 2 sqrt(rows) leaves, each row in a second one too (SOAR): half or twice as many
# take 1.1 times as long, four times as many 1.3. A million take, for a recall of 0.99 over int8
# rows, 0.75 ms in 2 sqrt(rows) leaves and 0.56 in twice as many; for one of 0.98, 0.61 and 0.55.
_LEAVES_PER_ROOT = 2
_MORE_LEAVES = 2
# A tree of more leaves that does not find in less than so much of the time is the last.
_SOONER = 0.95
_SOAR_LAMBDA = 1.5


_INTEGER_TYPES: tuple[RowType, ...] = ("int16", "int8")


@dataclass(frozen=True)
class BuiltIndex:
    """What was built.

    Attributes:
        target_recall_at_10: what it was tuned to.
        chosen: the setting whose files were written.
        curve: all that were measured.
    """

    target_recall_at_10: float
    chosen: IndexSetting
    curve: tuple[IndexSetting, ...]


@dataclass(frozen=True)
class BuiltTree:
    """A tree that was written.

    Attributes:
        folder: where.
        leaves: how many it has.
        dim: numbers that it knows each row by.
    """

    folder: Path
    leaves: int
    dim: int

    def searched(self, leaves_to_search: int, reorder: int) -> ApproximateSearch:
        """Say how it is searched."""
        return ApproximateSearch(self.leaves, leaves_to_search, reorder, self.dim)


def build_index(
    vectors: Vectors,
    folder: Path,
    *,
    recall: float = DEFAULT_RECALL,
    queries: Queries | None = None,
    exact_rows: int = EXACT_ROWS,
    setting: IndexSetting | None = None,
) -> BuiltIndex:
    """Write an index of unit vectors into an existing, empty folder.

    Exact up to `exact_rows` rows, and wherever ScaNN has no package. Above, a tree whose rows lie
    in two leaves each (Sun et al., "SOAR: Improved Indexing for Approximate Nearest Neighbor
    Search", NeurIPS 2023) with anisotropic 4-bit quantisation (Guo et al., "Accelerating
    Large-Scale Inference with Anisotropic Vector Quantization", ICML 2020) is built over as few
    numbers of each row as `projection.projections` finds enough, and searched with more and more
    leaves, reordered rows and types of these until it reaches the recall. Trees of more leaves
    follow as long as they find in less time; of the settings that reach the recall, exact search
    among them, one of the fastest is kept. Where none does, trees of more numbers follow.

    Args:
        vectors: of the catalogue.
        folder: for the index alone.
        recall: share of a query's ten nearest rows to be found, above 0, at most 1.
        queries: unit vectors of photos that are not in the catalogue; where there are few, rows of
            the catalogue ask for their nearest others.
        exact_rows: up to so many rows no tree is tried.
        setting: chosen for nearly the same vectors before, and taken over if it reaches the recall
            on these; else all are measured.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    probe = Probe.of(vectors, queries)
    save_vectors(vectors, folder, "float32")
    exact = exact_setting(folder, probe)
    few = len(vectors) <= exact_rows if setting is None else setting.kind == "exact"
    if few or find_spec("scann") is None:
        return BuiltIndex(recall, exact, (exact,))
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        rows: dict[RowType, Path] = {"float32": folder}
        curve: list[IndexSetting] = []
        if setting is not None:
            _add_rows(rows, vectors, Path(scratch), (setting.row_type,))
            projection = _projection_of(setting, vectors)
            tree = _built(vectors, Path(scratch), min(setting.leaves, len(vectors)), projection)
            trees = {tree.leaves: tree}
            curve = [_measured_again(tree, rows[setting.row_type], probe, setting)]
        if not curve or curve[0].recall_at_10 < recall:
            if curve:
                console.print(
                    f"The index's setting finds {curve[0].recall_at_10:.3f} of the neighbours now, "
                    f"{recall:g} are wanted: it is tuned anew."
                )
            _add_rows(rows, vectors, Path(scratch), _INTEGER_TYPES)
            curve = [exact]
            for projection in projections(probe, recall):
                trees, measured = _tried(vectors, Path(scratch), projection, rows, probe, recall)
                curve += measured
                if _reaches(measured, recall):
                    break
        chosen = choose(curve, recall)
        if chosen.kind == "scann":
            tree = trees[chosen.leaves]
            for path in tree.folder.iterdir():
                path.rename(folder / path.name)
            for path in rows[chosen.row_type].iterdir():
                path.replace(folder / path.name)
            tree.searched(chosen.leaves_to_search, chosen.reorder).save(folder)
    return BuiltIndex(recall, chosen, tuple(curve))


def _tried(
    vectors: Vectors,
    scratch: Path,
    projection: Projection | None,
    rows: Mapping[RowType, Path],
    probe: Probe,
    recall: float,
) -> tuple[dict[int, BuiltTree], list[IndexSetting]]:
    """Build and measure trees of more and more leaves, until more do not find sooner.

    Returns:
        The trees by the number of their leaves, and all settings that were measured.
    """
    trees: dict[int, BuiltTree] = {}
    curve: list[IndexSetting] = []
    leaves, best = _fewest_leaves(len(vectors)), inf
    # ScaNN trains clusters on a row each, at the least.
    while leaves <= min(len(vectors), _TRAINING_SAMPLE):
        tree = _built(vectors, scratch, leaves, projection)
        if tree.leaves in trees:
            # So many small clusters were merged that there are no more than before.
            break
        trees[tree.leaves] = tree
        measured = _measured(tree, rows, probe, recall)
        curve += measured
        if not _reaches(measured, recall) or (ms := choose(measured, recall).ms) > _SOONER * best:
            break
        leaves, best = _MORE_LEAVES * leaves, ms
    return trees, curve


def _reaches(settings: list[IndexSetting], recall: float) -> bool:
    return any(setting.recall_at_10 >= recall for setting in settings)


def _built(
    vectors: Vectors, scratch: Path, leaves: int, projection: Projection | None
) -> BuiltTree:
    """Build a tree in a new folder."""
    with console.status(f"Building a tree of {leaves:,} leaves…"):
        return build_tree(vectors, Path(tempfile.mkdtemp(dir=scratch)), projection, leaves=leaves)


def _projection_of(setting: IndexSetting, vectors: Vectors) -> Projection | None:
    """Return the projection of rows to as many numbers as a setting's tree has."""
    is_shorter = 0 < setting.tree_dim < vectors.shape[1]
    return projection_to(vectors, setting.tree_dim) if is_shorter else None


def _add_rows(
    rows: dict[RowType, Path], vectors: Vectors, scratch: Path, row_types: tuple[RowType, ...]
) -> None:
    """Write the vectors in those types that have no folder yet."""
    for row_type in row_types:
        if row_type not in rows:
            rows[row_type] = scratch / row_type
            rows[row_type].mkdir()
            save_vectors(vectors, rows[row_type], row_type)


def _measured_again(
    tree: BuiltTree, rows: Path, probe: Probe, setting: IndexSetting
) -> IndexSetting:
    """Measure a setting over another tree, with the folder that holds the rows in its type."""
    leaves = min(tree.leaves, setting.leaves_to_search)
    index = open_tree(tree.folder, open_vectors(rows), tree.searched(leaves, setting.reorder))
    # Maps the pages, so that the figures are not charged for it.
    probe.measure([index])
    ((found, ms),) = probe.measure([index])
    return replace(
        setting,
        leaves=tree.leaves,
        leaves_to_search=leaves,
        recall_at_10=found,
        ms=ms,
        megabytes=megabytes(tree.folder) + megabytes(rows),
        tree_dim=tree.dim,
    )


def _measured(
    tree: BuiltTree, rows: Mapping[RowType, Path], probe: Probe, recall: float
) -> list[IndexSetting]:
    """Measure the tree over each type of its rows, with the folders that hold them."""
    first = open_tree(tree.folder, open_vectors(rows["float32"]), tree.searched(1, 1))
    trees = {
        row_type: (
            first.varied(vectors=open_vectors(folder)),
            megabytes(tree.folder) + megabytes(folder),
        )
        for row_type, folder in rows.items()
    }
    settings: list[IndexSetting] = []
    steps = most_steps(tree.leaves)
    with progress_bar("Tuning the index", steps) as bar:
        for step in tree_settings(trees, probe, recall):
            settings += step
            steps -= 1
            bar.advance(
                note=", ".join(
                    f"{setting.row_type} {setting.recall_at_10:.3f} in {setting.ms:.2f} ms"
                    for setting in step
                )
            )
        bar.advance(max(0, steps))
    return settings


def _fewest_leaves(rows: int) -> int:
    """Return the leaves of the first tree that is tried."""
    return max(1, round(_LEAVES_PER_ROOT * sqrt(rows)))


def build_tree(
    vectors: Vectors,
    folder: Path,
    projection: Projection | None = None,
    *,
    leaves: int | None = None,
) -> BuiltTree:
    """Write a tree of unit vectors into an existing folder.

    The vectors and how it is searched are still to be written.

    Args:
        vectors: unit vectors.
        folder: existing; it may hold the vectors.
        projection: to the numbers that the tree knows the rows by; None: all of them.
        leaves: clusters, at most; None: the fewest that are tried for so many rows.
    """
    from scann.scann_ops.py import scann_ops_pybind

    rows = len(vectors)
    leaves = leaves or _fewest_leaves(rows)
    sample = min(rows, _TRAINING_SAMPLE)
    known = vectors if projection is None else vectors @ projection
    builder: Any = scann_ops_pybind.builder(known, 10, "dot_product")
    searcher = (
        builder.tree(leaves, leaves, training_sample_size=sample, soar_lambda=_SOAR_LAMBDA)
        .score_ah(2, anisotropic_quantization_threshold=0.2, training_sample_size=sample)
        .build()
    )
    searcher.serialize(str(folder), relative_path=True)
    # ScaNN merges small clusters, so that there may be fewer than were asked for; a row's first
    # leaf stands before its second.
    tokens = np.load(folder / "datapoint_to_token.npy").reshape(rows, -1)[:, 0].astype(np.int32)
    leaves = int(tokens.max()) + 1
    np.save(folder / LEAVES, tokens)
    np.save(folder / CENTROIDS, _means(vectors, tokens, leaves))
    if projection is not None:
        np.save(folder / PROJECTION, projection)
    return BuiltTree(folder, leaves, known.shape[1])


def _means(
    vectors: Vectors, leaf_of_row: Int[np.ndarray, " rows"], leaves: int
) -> Float32[np.ndarray, "leaves dim"]:
    means = np.zeros((leaves, vectors.shape[1]), np.float32)
    order = np.argsort(leaf_of_row, kind="stable")
    starts = np.searchsorted(leaf_of_row[order], np.arange(leaves + 1))
    for leaf, (start, end) in enumerate(pairwise(starts)):
        if start < end:
            means[leaf] = vectors[order[start:end]].mean(axis=0)
    return means
