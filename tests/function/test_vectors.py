"""Rows of every type give the cosines that the vectors have."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.manifest import RowType
from function.vectors import open_vectors, save_vectors

# A rounded value errs by half a step, at most 1 / largest of a row's largest value; a sum of `dim`
# such errors, each by chance, by far less than this.
ERRORS: dict[RowType, float] = {"float32": 1e-6, "int16": 2e-4, "int8": 0.02}
Rows = pytest.mark.parametrize("row_type", list(ERRORS))


def unit(seed: int, rows: int, dim: int, spread: float) -> np.ndarray:
    """Some dimensions vary far more than others, as an embedding's do."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(rows, dim)) * random.uniform(0, 1, dim) ** spread
    vectors += 1e-9
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 40),
    dim=st.integers(1, 70),
    spread=st.floats(0, 8),
    row_type=st.sampled_from(list(ERRORS)),
)
def test_scores_are_the_cosines_but_for_rounding(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    rows: int,
    dim: int,
    spread: float,
    row_type: RowType,
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    vectors = unit(seed, rows, dim, spread)
    save_vectors(vectors, folder, row_type)
    stored = open_vectors(folder)
    query = unit(seed + 1, 1, dim, 0)[0]
    assert (stored.rows, stored.dim) == (rows, dim)
    scores = stored.scores(query)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, vectors @ query, atol=ERRORS[row_type])
    np.testing.assert_allclose(stored.read(), vectors, atol=ERRORS[row_type])
    np.testing.assert_allclose(stored.read() @ query, scores, atol=1e-5)
    some = np.random.default_rng(seed).integers(0, rows, 7)
    np.testing.assert_allclose(stored.scores(query, some), scores[some], atol=1e-6)


@Rows
def test_more_rows_than_a_block_are_scored_and_read(tmp_path: Path, row_type: RowType) -> None:
    vectors = unit(0, 2500, 16, 1)
    save_vectors(vectors, tmp_path, row_type)
    stored = open_vectors(tmp_path)
    np.testing.assert_allclose(stored.scores(vectors[3]), vectors @ vectors[3], atol=0.01)
    every = np.arange(2500)[::-1]
    np.testing.assert_allclose(
        stored.scores(vectors[3], every), stored.scores(vectors[3])[::-1], atol=1e-6
    )


def test_saving_again_replaces_all_of_the_former(tmp_path: Path) -> None:
    vectors = unit(0, 30, 16, 1)
    for row_type in ("int8", "float32", "int16"):
        save_vectors(vectors, tmp_path, row_type)
        integer = {"dataset.npy", "scales.npy", "rotation.npy"}
        names = {path.name for path in tmp_path.iterdir()}
        assert names == ({"dataset.npy"} if row_type == "float32" else integer)
        np.testing.assert_allclose(open_vectors(tmp_path).read(), vectors, atol=0.02)


@Rows
def test_a_row_of_zeros_has_the_cosine_zero(tmp_path: Path, row_type: RowType) -> None:
    save_vectors(np.zeros((3, 8), np.float32), tmp_path, row_type)
    np.testing.assert_array_equal(open_vectors(tmp_path).scores(unit(0, 1, 8, 0)[0]), np.zeros(3))
