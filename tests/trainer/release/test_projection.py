"""The tree knows the rows by as few numbers as keep a query's neighbours in reach."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.release.projection import projection_to, projections, recall_within
from trainer.release.tuning import Probe


def lengths(probe: Probe, recall: float) -> list[int]:
    """Numbers of a row, in the order in which they are to be tried."""
    dim = probe.rows.shape[1]
    found = projections(probe, recall)
    return [dim if projection is None else projection.shape[1] for projection in found]


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def embeddings(rows: int, dim: int, directions: int, seed: int) -> np.ndarray:
    """Unit vectors along so many directions, each weaker than the last, and some noise."""
    shared = np.linalg.qr(np.random.default_rng(0).normal(size=(dim, dim)))[0][:directions]
    random = np.random.default_rng(seed)
    strengths = random.normal(size=(rows, directions)) * 0.95 ** np.arange(directions)
    return unit(strengths @ shared + 0.002 * random.normal(size=(rows, dim)))


@pytest.mark.parametrize(("directions", "length"), [(8, 8), (14, 16), (30, 32)])
def test_vectors_along_a_few_directions_become_about_as_short(directions: int, length: int) -> None:
    probe = Probe.of(
        embeddings(4000, 64, directions, 1), embeddings(300, 64, directions, 2), count=200
    )
    projection = next(projections(probe, 0.99))
    assert projection is not None
    assert projection.shape == (64, length)
    assert projection.dtype == np.float32
    np.testing.assert_allclose(projection.T @ projection, np.eye(length), atol=1e-5)
    np.testing.assert_array_equal(projection_to(probe.rows, length), projection)
    # Longer ones, and the rows as they are, for where that is not enough after all.
    assert lengths(probe, 0.99) == [of for of in (8, 16, 32, 64) if of >= length]


def test_vectors_along_all_directions_stay_whole() -> None:
    random = np.random.default_rng(0)
    rows, queries = (unit(random.normal(size=(count, 64))) for count in (4000, 300))
    assert lengths(Probe.of(rows, queries), 0.99) == [64]


def test_a_lower_recall_is_content_with_fewer_numbers() -> None:
    probe = Probe.of(embeddings(4000, 64, 64, 1), embeddings(300, 64, 64, 2))
    assert lengths(probe, 0.5)[0] < lengths(probe, 0.999)[0]


def test_every_number_has_a_like_share_of_the_vectors() -> None:
    rows = embeddings(4000, 64, 14, 1)
    projection = projection_to(rows, 14)
    shares = np.square(rows @ projection).mean(axis=0)
    # The directions' own differ by 0.95^26: 3.8 times.
    assert shares.max() < 2.5 * shares.min()
    assert shares.sum() == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize("dim", [1, 2, 3, 7])
def test_vectors_of_a_few_numbers_are_no_error(dim: int) -> None:
    rows = unit(np.random.default_rng(0).normal(size=(50, dim)))
    assert lengths(Probe.of(rows), 0.9) == [dim]


@given(st.integers(1, 80), st.integers(0, 2**32 - 1), st.booleans(), st.integers(10, 30))
def test_recall_within_a_depth_against_a_nested_loop(
    count: int, seed: int, held_out: bool, depth: int
) -> None:
    random = np.random.default_rng(seed)
    rows = unit(random.normal(size=(count, 8)))
    queries = unit(random.normal(size=(200, 8))) if held_out else None
    projection = random.normal(size=(8, 3)).astype(np.float32)
    probe = Probe.of(rows, queries, count=20)
    hits = wanted = 0
    for query, own in zip(probe.queries, probe.own_rows, strict=True):
        others = [row for row in range(count) if row != own]
        scores = (rows @ projection) @ (projection.T @ query)
        nearest = sorted(others, key=lambda row: -float(rows[row] @ query))[:10]
        reached = sorted(others, key=lambda row: -float(scores[row]))[:depth]
        hits += len(set(nearest) & set(reached))
        wanted += len(nearest)
    found = recall_within(probe, projection, depth)
    assert found == pytest.approx(hits / wanted if wanted else 1.0, abs=0.011)


def test_blocks_of_rows_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = Probe.of(embeddings(700, 32, 20, 1))
    projection = np.ascontiguousarray(np.eye(32, 6, dtype=np.float32))
    whole = recall_within(probe, projection, 20)
    monkeypatch.setattr("trainer.release.projection._BLOCK", 64)
    assert recall_within(probe, projection, 20) == whole < 1
