"""A query is answered as the function answers it, with its product in the catalogue and without."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from function.catalog import ImageRow, Product
from function.file_catalog import FileCatalog, open_catalog, write_catalog
from function.file_index import SearchableRows
from function.index import NumpyIndex
from trainer.evaluation.attribution import Queries
from trainer.release.calibration.fitting import calibrate
from trainer.release.calibration.results import Results, ask

PRODUCTS, PHOTOS, DIM, PAGE = 21, 3, 8, 10


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[FileCatalog]:
    names = [f"p{number}" for number in range(PRODUCTS)]
    rows = [
        ImageRow(product * PHOTOS + photo, names[product], str(photo))
        for product in range(PRODUCTS)
        for photo in range(PHOTOS)
    ]
    write_catalog(tmp_path / "catalog.sqlite", [Product(name) for name in names], rows)
    opened = open_catalog(tmp_path / "catalog.sqlite")
    yield opened
    opened.close()


def units(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def oracle(
    rows: np.ndarray, vector: np.ndarray, right: int, own: int, *, present: bool
) -> tuple[list[float], list[bool]]:
    best: dict[int, float] = {}
    for row, score in enumerate((rows @ vector).tolist()):
        product = row // PHOTOS
        if row != own and (present or product != right):
            best[product] = max(best.get(product, -2), score)
    page = sorted(best.items(), key=lambda item: -item[1])[:PAGE]
    return [score for _, score in page], [product == right for product, _ in page]


@pytest.mark.parametrize("own", [False, True])
def test_answers_are_first_pages_with_the_product_and_without(
    catalog: FileCatalog, own: bool
) -> None:
    rows = units(PRODUCTS * PHOTOS, 0)
    asked = np.arange(0, PRODUCTS * PHOTOS, 2)
    vectors = rows[asked] if own else units(len(asked), 1)
    own_rows = asked if own else np.full(len(asked), -1)
    queries = Queries([f"p{row // PHOTOS}" for row in asked], own_rows)
    done: list[int] = []
    results = ask(
        SearchableRows(NumpyIndex(rows), catalog),
        catalog,
        queries,
        vectors,
        on_progress=done.append,
    )
    assert sum(done) == len(asked)
    assert results.product_count == PRODUCTS
    place = 0
    for vector, row, excluded in zip(vectors, asked, own_rows, strict=True):
        for present in (True, False):
            scores, matches = oracle(rows, vector, row // PHOTOS, excluded, present=present)
            here = np.zeros(len(results.scores), bool)
            here[place : place + PAGE] = True
            answer: Results = results[here]
            np.testing.assert_allclose(answer.scores, scores, atol=1e-6)
            np.testing.assert_array_equal(answer.matches, matches)
            np.testing.assert_array_equal(answer.places, np.arange(PAGE))
            assert (answer.present == present).all()
            place += PAGE
    assert place == len(results.scores)
    assert not results.matches[~results.present].any()
    assert results.matches[results.present].any()


@pytest.mark.parametrize(("own", "task"), [(False, "query_to_catalog"), (True, "leave_one_out")])
def test_a_calibration_says_whose_photos_asked(catalog: FileCatalog, own: bool, task: str) -> None:
    rows = units(PRODUCTS * PHOTOS, 0)
    own_rows = np.arange(len(rows)) if own else np.full(len(rows), -1)
    queries = Queries([f"p{row // PHOTOS}" for row in range(len(rows))], own_rows)
    calibrated = calibrate(
        SearchableRows(NumpyIndex(rows), catalog),
        catalog,
        queries,
        rows if own else rows[::-1].copy(),
    )
    assert calibrated is not None
    assert calibrated.calibration.task == task
