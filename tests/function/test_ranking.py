"""Pages are full, and cuts of one list: whatever is filtered, and whatever an index overlooks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, log
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from function.catalog import ImageRow, Product
from function.file_catalog import FileCatalog, open_catalog, write_catalog
from function.file_index import SearchableRows
from function.index import Index, NumpyIndex, open_index
from function.ranking import DEPTH, Ranked, rank_products
from tests.indices import write_tree

DIM = 8


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@contextmanager
def catalog_of(
    products: Sequence[int], pictures: Sequence[int] | None = None
) -> Iterator[FileCatalog]:
    """A catalogue whose rows are photos of these products."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.sqlite"
        write_catalog(
            path,
            [Product(str(number)) for number in sorted(set(products))],
            [ImageRow(row, str(number), str(row)) for row, number in enumerate(products)],
            None if pictures is None else np.array(pictures),
        )
        catalog = open_catalog(path)
        try:
            yield catalog
        finally:
            catalog.close()


class Counting:
    """Counts the searches of an index."""

    def __init__(self, index: Index) -> None:
        self.rows, self.dim = index.rows, index.dim
        self.searches = 0
        self._index = index

    def search(
        self, vector: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        self.searches += 1
        return self._index.search(vector, k, allowed)


class Forgetful:
    """Finds the more of the nearest rows the more it is asked for, as a tree of clusters does."""

    def __init__(self, vectors: NDArray[np.float32], seed: int) -> None:
        self.rows, self.dim = vectors.shape
        self._exact = NumpyIndex(vectors)
        self._effort = np.random.default_rng(seed).random(self.rows)

    def search(
        self, vector: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        seen = self._effort <= 0.5 + k / self.rows
        return self._exact.search(vector, k, seen if allowed is None else seen & allowed)


def naive(
    catalog: FileCatalog,
    scores: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    threshold: float,
    collapse: bool,
) -> list[int]:
    """The first row of each product, by reading all rows from the best on."""
    first: dict[int, int] = {}
    for row in np.argsort(-scores, kind="stable").tolist():
        if allowed[row] and scores[row] >= threshold:
            first.setdefault(int(catalog.product_of_row[row]), row)
    shown: dict[int, int] = {}
    for row in first.values():
        shown.setdefault(int(catalog.picture_of_row[row]) if collapse else row, row)
    return list(shown.values())


@given(st.data())
def test_a_ranking_is_the_plain_reading_of_all_rows(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 300))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    vectors = unit(random.normal(size=(rows, DIM)))
    products = random.integers(0, data.draw(st.integers(1, rows)), rows).tolist()
    pictures = random.integers(0, rows, rows).tolist()
    allowed = random.random(rows) < data.draw(st.sampled_from([0.02, 0.5, 1.0]))
    threshold = data.draw(st.sampled_from([-1.0, 0.0, 0.7]))
    collapse = data.draw(st.booleans())
    wanted = data.draw(st.integers(1, 310))
    vectors_wanted = data.draw(st.integers(0, 4))
    query = unit(random.normal(size=(vectors_wanted, DIM) if vectors_wanted else DIM))
    # Of several vectors the nearest counts.
    scores = np.atleast_2d(query @ vectors.T).max(axis=0)
    with catalog_of(products, pictures) as catalog:
        index = Counting(NumpyIndex(vectors))
        found = rank_products(
            SearchableRows(index, catalog),
            query,
            wanted,
            allowed=allowed,
            score_threshold=threshold,
            collapse_duplicates=collapse,
        )
        expected = naive(catalog, scores, allowed, threshold, collapse)
    assert [item.rows[0] for item in found] == expected[:wanted]
    for item in found:
        assert item.score == pytest.approx(scores[item.rows[0]], abs=1e-6)
        assert len({products[row] for row in item.rows}) == 1
        assert list(scores[list(item.rows)]) == sorted(scores[list(item.rows)], reverse=True)
    assert index.searches <= 2 * max(1, ceil(log(rows, 4))) * max(1, vectors_wanted)


@dataclass(frozen=True)
class Shop:
    """2,400 photos of 800 products in clusters, as a tree index of ScaNN and in a catalogue."""

    index: Index
    vectors: NDArray[np.float32]
    catalog: FileCatalog


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    random = np.random.default_rng(0)
    centres = random.normal(size=(60, DIM))
    products = np.repeat(np.arange(800), 3)
    vectors = unit(centres[products % 60] + 0.4 * random.normal(size=(2400, DIM)))
    folder = tmp_path_factory.mktemp("index") / "tree"
    write_tree(vectors, folder, leaves_to_search=8, reorder=50)
    with catalog_of(products.tolist(), (np.arange(2400) // 5 * 5).tolist()) as catalog:
        yield Shop(open_index(folder, "scann"), vectors, catalog)


@settings(max_examples=40)
@given(
    st.sampled_from(["exact", "tree", "forgetful"]),
    st.lists(st.integers(1, 100), min_size=1, max_size=8),
    st.sampled_from([None, 0.5, 0.05]),
    st.sampled_from([-1.0, 0.5]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_pages_of_any_sizes_are_one_list_without_gap_or_repetition(
    shop: Shop,
    kind: Literal["exact", "tree", "forgetful"],
    sizes: list[int],
    share: float | None,
    threshold: float,
    collapse: bool,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    index = {
        "exact": NumpyIndex(shop.vectors),
        "tree": shop.index,
        "forgetful": Forgetful(shop.vectors, seed),
    }[kind]
    allowed = None if share is None else random.random(len(shop.vectors)) < share
    query = unit(random.normal(size=DIM))

    def ranked(wanted: int) -> list[Ranked]:
        return rank_products(
            SearchableRows(index, shop.catalog),
            query,
            wanted,
            allowed=allowed,
            score_threshold=threshold,
            collapse_duplicates=collapse,
        )

    whole = ranked(DEPTH)
    products = [int(shop.catalog.product_of_row[item.rows[0]]) for item in whole]
    assert len(set(products)) == len(products)
    if collapse:
        pictures = [int(shop.catalog.picture_of_row[item.rows[0]]) for item in whole]
        assert len(set(pictures)) == len(pictures)
    place, pages = 0, []
    for size in sizes:
        pages += ranked(min(place + size, DEPTH))[place:]
        place += size
        assert pages == whole[:place]


def test_a_crowd_of_photos_leaves_room_for_the_others() -> None:
    angles = np.concatenate([np.zeros(5000), np.linspace(0.1, 1, 200)])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    products = [0] * 5000 + list(range(1, 201))
    index = Counting(NumpyIndex(vectors))
    with catalog_of(products) as catalog:
        found = rank_products(SearchableRows(index, catalog), np.array([1, 0], np.float32), 11)
        assert [int(catalog.product_of_row[item.rows[0]]) for item in found] == list(range(11))
    assert index.searches <= ceil(log(len(vectors), 4))


def test_goods_listed_twice_are_shown_once_if_that_is_asked() -> None:
    """Products 0 and 1 have the same first picture, and a second one of their own."""
    angles = np.array([0.0, 0.0, 0.1, 0.2, 0.3])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    with catalog_of([0, 1, 1, 0, 2], [0, 0, 2, 3, 4]) as catalog:

        def shown(query: float, **options: bool) -> list[int]:
            vector = np.array([np.cos(query), np.sin(query)], np.float32)
            index = SearchableRows(NumpyIndex(vectors), catalog)
            found = rank_products(index, vector, 10, **options)
            return [int(catalog.product_of_row[item.rows[0]]) for item in found]

        assert sorted(shown(0.0)) == [0, 1, 2]
        assert shown(0.0, collapse_duplicates=True) == [0, 2]
        # By its second picture it is another product's equal no longer.
        assert shown(0.14, collapse_duplicates=True) == [1, 0, 2]


def test_nothing_allowed_is_nothing_found() -> None:
    with catalog_of([0, 1]) as catalog:
        index = SearchableRows(NumpyIndex(np.eye(2, dtype=np.float32)), catalog)
        nobody = np.zeros(2, bool)
        assert rank_products(index, np.array([1, 0], np.float32), 5, allowed=nobody) == []
