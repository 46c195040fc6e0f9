"""What is kept for updates is what the release was made of, not what its index rounded it to."""

from pathlib import Path

import numpy as np
import pytest

from function.manifest import INDEX, RowType
from function.vectors import save_vectors
from trainer.evaluation.attribution import Queries
from trainer.release.copies import Signatures
from trainer.release.kept import UPDATE, Kept, load_kept, save_kept
from trainer.release.questions import Answerable


def unit(rows: int) -> np.ndarray:
    vectors = np.random.default_rng(rows).normal(size=(rows, 8))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("row_type", ["float32", "int8"])
@pytest.mark.parametrize("asked", [False, True])
def test_it_comes_back_as_it_was(tmp_path: Path, row_type: RowType, asked: bool) -> None:
    random = np.random.default_rng(1)
    signatures = Signatures(
        random.integers(0, 2**63, 5).astype(np.uint64),
        random.integers(0, 256, (5, 16, 16, 3)).astype(np.uint8),
    )
    answerable = Answerable(Queries(["p1", "é"], np.array([3, -1])), unit(2)) if asked else None
    kept = Kept(unit(5), signatures, unit(4) if asked else None, answerable)
    (tmp_path / INDEX).mkdir()
    save_vectors(kept.vectors, tmp_path / INDEX, row_type)
    save_kept(kept, tmp_path, row_type=row_type)
    # Float rows are in the index, and not stored twice.
    assert (tmp_path / UPDATE / "vectors.npy").exists() == (row_type == "int8")
    found = load_kept(tmp_path)
    np.testing.assert_array_equal(found.vectors, kept.vectors)
    np.testing.assert_array_equal(found.signatures.hashes, signatures.hashes)
    np.testing.assert_array_equal(found.signatures.pixels, signatures.pixels)
    if kept.customers is None or kept.answerable is None:
        assert found.customers is None
        assert found.answerable is None
        return
    np.testing.assert_array_equal(found.customers, kept.customers)
    assert found.answerable is not None
    assert found.answerable.queries.products == ["p1", "é"]
    np.testing.assert_array_equal(found.answerable.queries.own_rows, [3, -1])
    np.testing.assert_array_equal(found.answerable.vectors, kept.answerable.vectors)
