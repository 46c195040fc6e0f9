"""Rows become products, from a file that nobody can change."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from function.catalog import ImageRow, Product
from function.errors import ReleaseError
from function.file_catalog import FileCatalog, open_catalog, write_catalog
from function.manifest import Counts

PRODUCTS = (
    Product(
        "42",
        "Red shoe",
        "apparel",
        "49.00 EUR",
        (("color", "red"), ("color", "white")),
        ("summer", "sale"),
    ),
    Product("7 'ö\"; --", "日本の靴"),
)
IMAGES = (
    ImageRow(2, "42", "back", url="https://shop/42b.jpg", thumbnail_url="https://shop/42b-s.jpg"),
    ImageRow(0, "42", "front", sha256="a" * 64, thumbnail_sha256="b" * 64),
    ImageRow(1, "7 'ö\"; --", "only"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a folder? with #odd %20 name" / "catalog.sqlite"
    path.parent.mkdir()
    assert write_catalog(path, PRODUCTS, IMAGES) == Counts(products=2, images=3)
    return path


@pytest.fixture
def catalog(path: Path) -> FileCatalog:
    return open_catalog(path)


def test_what_is_written_is_read(catalog: FileCatalog) -> None:
    assert catalog.counts == Counts(products=2, images=3)
    assert [catalog.product(product.id) for product in PRODUCTS] == list(PRODUCTS)
    assert [catalog.image(image.row) for image in IMAGES] == list(IMAGES)
    assert [image.image_id for image in catalog.images_of("42")] == ["front", "back"]
    assert catalog.images([1, 0, 1]) == [IMAGES[2], IMAGES[1], IMAGES[2]]
    catalog.close()


def test_what_is_absent_is_a_key_error(catalog: FileCatalog) -> None:
    for look_up in (lambda: catalog.product("43"), lambda: catalog.image(3)):
        with pytest.raises(KeyError):
            look_up()
    assert catalog.images_of("43") == []
    catalog.close()


def test_more_rows_than_one_query_can_name(tmp_path: Path) -> None:
    path = tmp_path / "large.sqlite"
    write_catalog(path, [Product("p")], (ImageRow(row, "p", str(row)) for row in range(2500)))
    catalog = open_catalog(path)
    rows = list(range(2499, -1, -1))
    assert [image.row for image in catalog.images(rows)] == rows
    catalog.close()


def test_threads_share_it_and_a_removed_file_still_answers(
    path: Path, catalog: FileCatalog
) -> None:
    path.unlink()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: catalog.image(n % 3).row, range(300)))
    assert found == [n % 3 for n in range(300)]
    catalog.close()


def test_reading_leaves_no_trace(path: Path, catalog: FileCatalog) -> None:
    before = path.read_bytes()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        catalog._database.all("DELETE FROM product")
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == before
    catalog.close()


@pytest.mark.parametrize(
    ("products", "images", "message"),
    [
        ([Product("a"), Product("a")], [], "UNIQUE"),
        (
            [Product("a")],
            [ImageRow(0, "b", "x")],
            "expected images of the products given; found one of 'b'",
        ),
        ([Product("a")], [ImageRow(0, "a", "x"), ImageRow(0, "a", "y")], "UNIQUE"),
        ([Product("a")], [ImageRow(0, "a", "x"), ImageRow(2, "a", "y")], "expected rows 0 to 1"),
    ],
)
def test_rows_that_do_not_fit_together_are_refused(
    tmp_path: Path, products: list[Product], images: list[ImageRow], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_catalog(tmp_path / "catalog.sqlite", products, images)


def test_an_older_file_is_never_overwritten(path: Path) -> None:
    with pytest.raises(ValueError, match="expected no file"):
        write_catalog(path, [], [])


@pytest.mark.parametrize("data", [None, b"", b"no database at all" * 100])
def test_another_file_is_a_release_error(tmp_path: Path, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / "catalog.sqlite").write_bytes(data)
    with pytest.raises(ReleaseError, match=r"catalog\.sqlite: expected a catalogue"):
        open_catalog(tmp_path / "catalog.sqlite")
