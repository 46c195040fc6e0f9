"""The products behind an index's rows: the contract of a catalogue, whoever holds it.

Two keep it: `file_catalog.FileCatalog` over the file of a release, and `postgres.catalog` over the
tables of one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from . import postings
from .facets import Facet
from .filters import Selection


@dataclass(frozen=True)
class Product:
    """A product of the shop.

    Attributes:
        id: the shop's own.
        title: for people; may be empty.
        category: may be empty.
        price: as the shop writes it, with its currency; may be empty.
        labels: (key, value) pairs; a key may repeat.
        product_sets: names of those it belongs to.
    """

    id: str
    title: str = ""
    category: str = ""
    price: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    product_sets: tuple[str, ...] = ()


def merged_product(known: Product, told: Product) -> Product:
    """Add to a product what is told of it later."""
    return Product(
        known.id,
        known.title or told.title,
        known.category or told.category,
        known.price or told.price,
        tuple(dict.fromkeys(known.labels + told.labels)),
        tuple(dict.fromkeys(known.product_sets + told.product_sets)),
    )


@dataclass(frozen=True)
class ImageRow:
    """A photo of a product, and where a browser finds it.

    A photo that came without a URL is stored under the root's images/ by its hash instead.

    Attributes:
        row: its row in the index.
        product_id: whose photo it is.
        image_id: its name; unique within the product.
        url: of the photo; "" where it is stored.
        thumbnail_url: of a smaller one; "" where there is none or it is stored.
        sha256: of the stored photo, images/<sha256>.jpg; "" where there is a url.
        thumbnail_sha256: of the stored thumbnail; "" where there is none.
    """

    row: int
    product_id: str
    image_id: str
    url: str = ""
    thumbnail_url: str = ""
    sha256: str = ""
    thumbnail_sha256: str = ""


class Page(NamedTuple):
    """Products of a selection, in the publisher's order.

    Attributes:
        products: each with its first photo.
        next_number: of the product that the next page begins with; None after the last.
        total: how many products the selection allows.
    """

    products: list[tuple[Product, ImageRow]]
    next_number: int | None
    total: int


@runtime_checkable
class Catalog(Protocol):
    """What is known of products. Safe to use from several threads.

    Two keep it: `FileCatalog`, and `postgres.catalog.PostgresCatalog`, whose every method may
    raise Unavailable or DeadlineExceeded.
    """

    def product(self, product_id: str) -> Product:
        """Return a product; KeyError where there is none."""

    def images_of(self, product_id: str) -> list[ImageRow]:
        """Return a product's photos by row; none where there is no such product."""

    def shown(self, rows: Sequence[int]) -> list[tuple[Product, ImageRow]]:
        """Return the photos at some rows with their products; KeyError where there is none."""

    def page(self, selection: Selection, first_number: int, size: int) -> Page:
        """Return products that a selection allows, at most `size`, from a number on."""

    def facets(self, keys: Sequence[str], selection: Selection) -> tuple[Facet, ...]:
        """Count the values of labels' keys over the products that a selection allows."""

    def facets_among(self, keys: Sequence[str], numbers: Sequence[int]) -> tuple[Facet, ...]:
        """Count the values of labels' keys over the products of these numbers."""

    def categories(self, limit: int) -> list[str]:
        """Return the names of categories, at most `limit`, in the order of their code points."""

    def product_sets(self, limit: int) -> list[str]:
        """Return the names of product sets, at most `limit`, in the order of their code points."""

    def label_keys(self, limit: int) -> list[str]:
        """Return the keys of labels, at most `limit`, in the order of their code points."""

    def until(self, deadline: float) -> "Catalog":
        """Return the same catalogue, which gives up at a time of `time.monotonic`."""

    def close(self) -> None:
        """Free what this catalogue alone holds."""


def terms_of(product: Product) -> Iterator[postings.Term]:
    """All that a product can be found by."""
    for key, value in product.labels:
        yield "label", key, value
    if product.category:
        yield "category", "", product.category
    for name in product.product_sets:
        yield "product set", "", name
