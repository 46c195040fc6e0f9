"""What lies nearest, against sorting by hand."""

import numpy as np
import pytest

from trainer.evaluation.neighbours import nearest_others, neighbours
from trainer.evaluation.tasks import Task


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


VECTORS = unit(np.random.default_rng(0).normal(size=(23, 5)))
PRODUCT = np.arange(23) % 6


@pytest.mark.parametrize("own_row", [-1, 4])
def test_neighbours_are_the_nearest_rows_but_the_query_itself(own_row: int) -> None:
    right = PRODUCT[4] == PRODUCT
    found, best = neighbours(VECTORS[4], VECTORS, right, own_row=own_row, count=9)
    cosines = {row: float(VECTORS[row] @ VECTORS[4]) for row in range(23) if row != own_row}
    order = sorted(cosines, key=lambda row: -cosines[row])
    assert [at.row for at in found] == order[:9]
    assert [at.similarity for at in found] == pytest.approx([cosines[at.row] for at in found])
    assert [at.right for at in found] == [bool(right[at.row]) for at in found]
    assert best is not None
    assert best.row == next(row for row in order if right[row])


def test_other_products_come_first_among_equals_and_none_may_be_right() -> None:
    same = np.tile(VECTORS[:1], (4, 1))
    right = np.array([True, False, True, False])
    found, _ = neighbours(same[0], same, right, count=4)
    assert [at.right for at in found] == [False, False, True, True]
    _, best = neighbours(same[0], same, np.zeros(4, bool), count=2)
    assert best is None


def test_the_nearest_photo_of_another_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.evaluation.neighbours._BLOCK", 4)
    task = Task(queries=[3, 8, 0, 22, 11, 5], gallery=[1, 3, 9, 14, 20, 2])
    expected = []
    for query in task.queries:
        others = [row for row in task.gallery if PRODUCT[row] != PRODUCT[query]]
        expected.append(max(others, key=lambda row: float(VECTORS[row] @ VECTORS[query])))
    assert nearest_others(VECTORS, PRODUCT, task).tolist() == expected
    one = np.zeros(23, int)
    assert nearest_others(VECTORS, one, task).tolist() == [-1] * 6
