"""A comparison counts what differs, and nothing that only looks so."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from function.catalog import ImageRow, Product
from function.file_catalog import open_catalog, write_catalog
from function.manifest import CATALOG, Counts, IndexInfo
from function.storage import Storage
from tests.many_releases import FIRST, SECOND, AddRelease
from trainer.errors import RegistryError
from trainer.release.registry.comparison import Changed, compare
from trainer.release.registry.inventory import all_images


def rewritten(
    edit: Callable[[list[Product], list[ImageRow]], tuple[list[Product], list[ImageRow]]],
) -> Callable[[Path], None]:
    """An edit of a release's folder that edits its catalogue."""

    def write(folder: Path) -> None:
        with closing(open_catalog(folder / CATALOG)) as catalog:
            listed = catalog.products(range(catalog.counts.products))
            products, images = edit([product for product, _ in listed], all_images(catalog))
        (folder / CATALOG).unlink()
        rows = [replace(image, row=row) for row, image in enumerate(images)]
        write_catalog(folder / CATALOG, products, rows)

    return write


def test_products_and_photos_that_differ_are_counted(
    storage: Storage, add_release: AddRelease
) -> None:
    def edit(
        products: list[Product], images: list[ImageRow]
    ) -> tuple[list[Product], list[ImageRow]]:
        kept = [
            replace(product, price="9") if product.id == "p2" else product
            for product in products
            if product.id != "p5"
        ]
        # Another order and other addresses of the same stored photos: no change.
        shown = [replace(image, thumbnail_url="https://cdn/x") for image in reversed(images)]
        shown = [image for image in shown if image.product_id != "p5"]
        lost = next(image for image in shown if image.product_id == "p3")
        shown.remove(lost)
        fresh = [ImageRow(0, name, "main", url=f"https://shop/{name}") for name in ("x", "y")]
        return [*kept, Product("x"), Product("y")], [*shown, *fresh]

    first = add_release(storage, FIRST)
    counts = Counts(7, 11)
    index = IndexInfo("i", 11, 0.99, first.index.chosen, first.index.curve)
    second = {"leave_one_out": {"recall_at_1": 0.75, "queries": 3}}
    add_release(
        storage, SECOND, edit=rewritten(edit), counts=counts, index=index, evaluation=second
    )
    found = compare(storage)
    assert (found.a, found.b) == (FIRST, SECOND)
    assert found.added == Changed(2, ("x", "y"))
    assert found.removed == Changed(1, ("p5",))
    assert found.changed == Changed(2, ("p2", "p3"))
    assert (found.photos_added, found.photos_removed) == (2, 3)
    assert found.metrics["leave_one_out.recall_at_1"] == (0.5, 0.75)
    assert "leave_one_out.queries" not in found.metrics
    assert found.sizes["photos"] == (12, 11)
    assert found.sizes["all files MB"][1] > 0
    assert all(one == two for one, two in found.model.values())
    back = compare(storage, SECOND, FIRST)
    assert (back.added, back.removed) == (found.removed, found.added)


def test_a_release_is_equal_to_itself(local: Storage, add_release: AddRelease) -> None:
    add_release(local, FIRST)
    found = compare(local, FIRST, FIRST)
    assert found.added == found.removed == found.changed == Changed(0, ())
    assert (found.photos_added, found.photos_removed) == (0, 0)
    for pairs in (found.model, found.metrics, found.sizes):
        assert all(one == two for one, two in pairs.values())


def test_the_first_of_many_products_are_named() -> None:
    assert Changed.of([f"p{number}" for number in range(9)]) == Changed(
        9, ("p0", "p1", "p2", "p3", "p4")
    )


def test_nothing_to_compare_with_is_said(local: Storage, add_release: AddRelease) -> None:
    with pytest.raises(RegistryError, match="found none"):
        compare(local)
    add_release(local, FIRST)
    with pytest.raises(RegistryError, match="found the current one alone"):
        compare(local)
