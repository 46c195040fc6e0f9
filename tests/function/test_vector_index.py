"""An index answers alike whoever holds the vectors: a release's files, or a database."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from function.browse import browse
from function.catalog import Catalog, ImageRow, Product
from function.facets import CATEGORY
from function.file_index import FileIndex
from function.filters import EVERYTHING, And, Label, Not, Or, Selection
from function.manifest import Counts
from function.postgres.catalog import PostgresCatalog
from function.postgres.connection import Database
from function.postgres.index import PostgresIndex
from function.postgres.schema import HNSW
from function.postgres.tables import Tables
from function.ranking import rank_products
from function.vector_index import Entry, VectorIndex
from tests.catalogs import CATEGORIES, KEYS, SELECTIONS, SETS, UNKNOWN, VALUES, allows
from tests.tables import make_tables

DIM = 24
PRODUCTS, PHOTOS = 40, 3
# Half precision: of unit vectors of so many numbers.
ROUNDING = 2e-3


@dataclass
class Opened:
    """An index, and what knows its products."""

    index: VectorIndex[object]

    @property
    def catalog(self) -> Catalog:
        if isinstance(self.index, FileIndex):
            return self.index.catalog
        assert isinstance(self.index, PostgresIndex)
        return PostgresCatalog(self.index.tables, self.index.count())

    def found(self, vector: NDArray[np.float32], k: int, selection: Selection) -> list[str]:
        """The photos found, as product/photo."""
        (hits,) = self.index.search(vector[None], k, self.index.allowed(selection))
        shown = self.catalog.shown(hits.rows.tolist())
        return [f"{product.id}/{image.image_id}" for product, image in shown]

    def listed(self, selection: Selection = EVERYTHING) -> list[str]:
        page = browse(self.catalog, "i", 1000, selection=selection)
        assert page.total_size == len(page.products)
        return [product.id for product, _ in page.products]


type Make = Callable[[], Opened]


@pytest.fixture(scope="module", params=["files", "postgres"])
def make(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Make]:
    """Makes empty indices of one of the two kinds."""
    if request.param == "files":
        yield lambda: Opened(FileIndex.create(tmp_path_factory.mktemp("index"), DIM))
        return
    url: str = request.getfixturevalue("module_database_url")
    database = Database(url, 4)

    def make_in_tables() -> Opened:
        name = uuid4().hex
        make_tables(url, name, DIM)
        return Opened(PostgresIndex(Tables(database, name), HNSW, DIM, Counts(0, 0)))

    yield make_in_tables
    database.close()


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def entries_of(products: list[Product], photos: int = PHOTOS, seed: int = 0) -> list[Entry]:
    """Photos by chance, those of a product apart from each other."""
    random = np.random.default_rng(seed)
    vectors = unit(random.normal(size=(photos, len(products), DIM)))
    return [
        Entry(product, ImageRow(0, product.id, f"photo {view}", f"https://x/{view}"), vector)
        for view, row in enumerate(vectors)
        for product, vector in zip(products, row, strict=True)
    ]


def various_products() -> list[Product]:
    random = np.random.default_rng(1)

    def some(values: list[str], most: int) -> list[str]:
        return [str(x) for x in random.choice(values, random.integers(0, most + 1))]

    return [
        Product(
            f"p{number}",
            f"Product {number}",
            str(random.choice(["", *CATEGORIES])),
            f"{number} EUR",
            tuple((key, value) for key in some(KEYS, 3) for value in some(VALUES, 2)),
            tuple(dict.fromkeys(some(SETS, 2))),
        )
        for number in range(PRODUCTS)
    ]


@pytest.fixture(scope="module")
def full(make: Make) -> Opened:
    """120 photos of 40 products; tests only read it."""
    opened = make()
    opened.index.load(entries_of(various_products()))
    return opened


def queries(count: int, seed: int = 9) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).normal(size=(count, DIM)))


def test_the_nearest_come_first_with_their_scores_products_and_pictures(full: Opened) -> None:
    entries = entries_of(various_products())
    rows = np.stack([entry.vector for entry in entries])
    assert full.index.count() == Counts(PRODUCTS, PRODUCTS * PHOTOS)
    asked = queries(3)
    for query, hits in zip(asked, full.index.search(asked, 20), strict=True):
        scores = rows @ query
        best = np.sort(scores)[::-1][:20]
        np.testing.assert_allclose(hits.scores, best, atol=ROUNDING)
        assert np.all(np.diff(hits.scores) <= 0)
        for row, score, (product, image) in zip(
            hits.rows, hits.scores, full.catalog.shown(hits.rows.tolist()), strict=True
        ):
            place = next(
                n
                for n, entry in enumerate(entries)
                if (entry.product.id, entry.image.image_id) == (product.id, image.image_id)
            )
            assert scores[place] == pytest.approx(score, abs=ROUNDING)
            assert entries[place].product == product
            assert image == ImageRow(int(row), product.id, image.image_id, entries[place].image.url)
        # A number for each product, and every photo its own picture.
        names = [product.id for product, _ in full.catalog.shown(hits.rows.tolist())]
        assert len(set(zip(hits.products.tolist(), names, strict=True))) == len(set(names))
        assert len(set(hits.pictures.tolist())) == 20


def test_all_there_is_is_found_where_more_is_asked_for(full: Opened) -> None:
    (hits,) = full.index.search(queries(1), 1000)
    assert sorted(hits.rows.tolist()) == list(range(PRODUCTS * PHOTOS))


def test_rows_come_back_as_they_were_given(full: Opened) -> None:
    entries = entries_of(various_products())
    (hits,) = full.index.search(queries(1), 30)
    given = {(e.product.id, e.image.image_id): e.vector for e in entries}
    stored = full.index.vectors(hits.rows)
    shown = full.catalog.shown(hits.rows.tolist())
    expected = np.stack([given[product.id, image.image_id] for product, image in shown])
    np.testing.assert_allclose(stored, expected, atol=ROUNDING)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SELECTIONS, st.lists(st.sampled_from([*KEYS, CATEGORY, UNKNOWN]), unique=True))
def test_a_selection_allows_what_a_plain_reading_of_it_does(
    full: Opened, selection: Selection, keys: list[str]
) -> None:
    products = various_products()
    allowed = [product for product in products if allows(selection, product)]
    assert full.listed(selection) == [product.id for product in allowed]
    found = full.found(queries(1)[0], 1000, selection)
    assert sorted({name.partition("/")[0] for name in found}) == sorted(x.id for x in allowed)
    assert len(found) == PHOTOS * len(allowed)
    facets = full.catalog.facets(keys, selection)
    numbers = [int(product.id[1:]) for product in allowed]
    assert facets == full.catalog.facets_among(keys, numbers)
    for facet in facets:
        if facet.key in KEYS:
            naive = {
                value: sum((facet.key, value) in product.labels for product in allowed)
                for value in VALUES
            }
            assert dict(facet.values) == {value: n for value, n in naive.items() if n}
            assert list(facet.values) == sorted(facet.values, key=lambda one: (-one[1], one[0]))


def test_pages_and_rankings_are_cuts_of_one_list(full: Opened) -> None:
    selection = Selection(Not(Label("color", "red")), excluded=frozenset({"p1", UNKNOWN}))
    whole = full.listed(selection)
    pages, token = [], ""
    while True:
        page = browse(full.catalog, "i", 7, page_token=token, selection=selection)
        pages += [product.id for product, _ in page.products]
        token = page.next_page_token
        if not token:
            break
    assert pages == whole
    allowed = full.index.allowed(selection)
    ranking = rank_products(full.index, queries(2), 500, allowed=allowed)
    assert sorted(f"p{item.product}" for item in ranking) == sorted(whole)
    assert rank_products(full.index, queries(2), 5, allowed=allowed) == ranking[:5]


def test_lists_are_in_the_order_of_code_points(full: Opened) -> None:
    products = various_products()
    labels = {key for product in products for key, _ in product.labels}
    assert full.catalog.label_keys(100) == sorted(labels)
    assert full.catalog.categories(100) == sorted(CATEGORIES)
    assert full.catalog.product_sets(2) == sorted(SETS)[:2]


@pytest.mark.parametrize("text", ["\0", "a\0b", "x" * 2000, "'; DROP TABLE image; --"])
def test_text_that_nothing_has_finds_nothing(full: Opened, text: str) -> None:
    for selection in (
        Selection(Label(text, "red")),
        Selection(Label("color", text)),
        Selection(And((Label("color", text), Or((Label("color", "red"),))))),
        Selection(categories=frozenset({text})),
        Selection(product_set=text),
    ):
        assert full.found(queries(1)[0], 10, selection) == []
        assert full.listed(selection) == []
    assert len(full.listed(Selection(excluded=frozenset({text})))) == PRODUCTS
    assert full.catalog.images_of(text) == []
    assert full.catalog.facets([text], EVERYTHING)[0].values == ()
    with pytest.raises(KeyError):
        full.catalog.product(text)


def test_what_is_put_in_is_found_in_the_place_of_what_was(make: Make) -> None:
    opened = make()
    red, blue = (Product(name, labels=(("color", name),)) for name in ("red", "blue"))
    opened.index.load(entries_of([red, blue], 2))
    changed = Product("red", "Now green", "shoes", labels=(("color", "green"),))
    new = Product("new", "New", product_sets=("sale",))
    here, there = queries(2)
    opened.index.upsert(
        [
            Entry(changed, ImageRow(0, "red", "photo 1", "https://x/new"), here),
            Entry(new, ImageRow(0, "new", "photo 0"), there),
        ]
    )
    assert opened.index.count() == Counts(3, 5)
    assert opened.listed() == ["red", "blue", "new"]
    assert opened.catalog.product("red") == changed
    assert [image.image_id for image in opened.catalog.images_of("red")] == ["photo 0", "photo 1"]
    assert opened.catalog.images_of("red")[1].url == "https://x/new"
    assert opened.found(here, 1, EVERYTHING) == ["red/photo 1"]
    assert opened.found(there, 1, EVERYTHING) == ["new/photo 0"]
    green = opened.found(here, 9, Selection(Label("color", "green")))
    assert sorted(green) == ["red/photo 0", "red/photo 1"]
    assert opened.listed(Selection(Label("color", "red"))) == []
    (facet,) = opened.catalog.facets(["color"], EVERYTHING)
    assert facet.values == (("blue", 1), ("green", 1))
    assert opened.catalog.categories(9) == ["shoes"]


def test_what_is_taken_out_is_found_no_more(make: Make) -> None:
    opened = make()
    products = various_products()[:6]
    opened.index.load(entries_of(products))
    gone = products[2]
    opened.index.delete([gone.id, UNKNOWN, "\0"])
    left = [product.id for product in products if product is not gone]
    assert opened.index.count() == Counts(5, 5 * PHOTOS)
    assert opened.listed() == left
    found = opened.found(queries(1)[0], 100, EVERYTHING)
    assert {name.partition("/")[0] for name in found} == set(left)
    assert opened.catalog.images_of(gone.id) == []
    opened.index.delete(left)
    assert opened.index.count() == Counts(0, 0)
    assert opened.listed() == []
    assert opened.found(queries(1)[0], 5, EVERYTHING) == []
    assert opened.catalog.label_keys(9) == []
    opened.index.upsert(entries_of([gone]))
    assert opened.listed() == [gone.id]


def test_a_photo_twice_or_a_vector_of_another_length_changes_nothing(make: Make) -> None:
    opened = make()
    entries = entries_of(various_products()[:2])
    opened.index.load(entries)
    with pytest.raises(ValueError, match=r"'photo 0' of product 'p0': expected it once"):
        opened.index.upsert([entries[0], entries[0]])
    short = Entry(entries[0].product, ImageRow(0, "p0", "x"), np.ones(3, np.float32))
    with pytest.raises(ValueError, match=r"expected a vector of 24 numbers; found \[3\]"):
        opened.index.upsert([short])
    with pytest.raises(ValueError, match="expected no photos yet; found 6"):
        opened.index.load(entries)
    assert opened.index.count() == Counts(2, 6)


def test_an_index_that_is_served_is_not_written(tmp_path: Path) -> None:
    index = FileIndex.create(tmp_path, DIM)
    index.load(entries_of([Product("a")]))
    served = FileIndex(index.index, index.catalog)
    with pytest.raises(ValueError, match="never changes"):
        served.delete(["a"])
