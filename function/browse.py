"""The catalogue without a search: what a selection allows, in the publisher's order."""

from dataclasses import dataclass

from .catalog import Catalog, ImageRow, Product
from .facets import Facet
from .filters import EVERYTHING, Selection
from .paging import pages_of


@dataclass(frozen=True)
class BrowseResult:
    """A page of the catalogue.

    Attributes:
        products: each with its first photo.
        total_size: how many the selection allows.
        next_page_token: of the page that follows; "" after the last.
        facets: one for each key that was asked for.
    """

    products: tuple[tuple[Product, ImageRow], ...]
    total_size: int
    next_page_token: str = ""
    facets: tuple[Facet, ...] = ()


def browse(
    catalog: Catalog,
    index_id: str,
    page_size: int = 10,
    *,
    page_token: str = "",
    selection: Selection = EVERYTHING,
    facets: tuple[str, ...] = (),
) -> BrowseResult:
    """Return a page of the products that a selection allows; the last page ends with the last one.

    Args:
        catalog: what to list.
        index_id: of its index, as the manifest has it.
        page_size: how many products, at most.
        page_token: `next_page_token` of the page before, for the same query; "" for the first.
        selection: which products.
        facets: keys whose values are counted, over all products of the selection.

    Raises:
        BadRequest: the token is none, or belongs to another index or query.
    """
    pages = pages_of(index_id, "", selection.plain_values())
    page = catalog.page(selection, pages.place(page_token), page_size)
    return BrowseResult(
        tuple(page.products),
        page.total,
        "" if page.next_number is None else pages.token(page.next_number),
        catalog.facets(facets, selection) if facets else (),
    )
