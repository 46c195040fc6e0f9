"""The index that is built is as good as it says."""

from pathlib import Path

import numpy as np
import pytest

from function.index import NumpyIndex, open_index
from trainer.release import indexing
from trainer.release.indexing import build_index, recall_at_10


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    random = np.random.default_rng(0)
    centres = random.normal(size=(300, 32))
    return unit(centres[random.integers(0, 300, 3000)] + 0.6 * random.normal(size=(3000, 32)))


def test_small_catalogues_are_searched_exactly(vectors: np.ndarray, tmp_path: Path) -> None:
    built = build_index(vectors, tmp_path)
    assert (built.kind, built.recall_at_10) == ("exact", 1.0)
    assert recall_at_10(open_index(tmp_path, "exact"), vectors, np.arange(50)) == 1.0


def test_a_tree_reaches_the_recall_it_is_tuned_for_and_states_it(
    vectors: np.ndarray, tmp_path: Path
) -> None:
    built = build_index(vectors, tmp_path, exact_rows=1000)
    assert built.kind == "scann"
    assert built.recall_at_10 >= indexing.TARGET_RECALL_AT_10
    others = recall_at_10(open_index(tmp_path, "scann"), vectors, np.arange(0, 3000, 10))
    assert others == pytest.approx(built.recall_at_10, abs=0.03)


def test_without_scann_the_plain_vectors_are_written(
    vectors: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.release.indexing.find_spec", lambda name: None)
    assert build_index(vectors, tmp_path, exact_rows=10).kind == "exact"
    assert isinstance(open_index(tmp_path, "exact"), NumpyIndex)


def test_recall_against_a_nested_loop(vectors: np.ndarray) -> None:
    some = vectors[:60]
    blind = NumpyIndex(np.where(np.arange(60)[:, None] % 3 == 0, 0, some).astype(np.float32))
    queries = np.array([1, 2, 4, 50])
    hits = 0
    for query in queries:
        order = [row for row in np.argsort(-(some @ some[query])) if row != query]
        found = [row for row in blind.search(some[query], 11)[0] if row != query][:10]
        hits += len(set(found) & set(order[:10]))
    assert recall_at_10(blind, some, queries) == pytest.approx(hits / 40)


def test_duplicates_of_a_photo_cost_no_recall() -> None:
    same = np.tile(unit(np.ones((1, 8))), (30, 1))
    assert recall_at_10(NumpyIndex(same), same, np.arange(30)) == 1.0
    assert recall_at_10(NumpyIndex(same[:1]), same[:1], np.arange(1)) == 1.0
