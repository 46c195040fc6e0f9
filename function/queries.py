"""The wire format of requests without a body: what the query of an address asks.

    GET /v1/products?filter=color%3Dred&productCategories=shoes&productCategories=bags&pageSize=20

The fields are those of a search (`api.py`), a list is a repeated parameter, and one that is not
known is refused.
"""

from dataclasses import dataclass
from typing import Any

from flask import Request

from .access import KEY_PARAMETER
from .api import DEFAULT_PAGE_SIZE
from .fields import BROWSE, Question, gather, read_fields
from .filters import EVERYTHING, Selection
from .masks import WHOLE, Mask


@dataclass(frozen=True)
class BrowseRequest:
    """Which products to list.

    Attributes:
        page_size: products to return, 1 to MAX_PAGE_SIZE.
        page_token: as the caller sent it; "" for the first page.
        selection: which products may be listed.
        facets: keys whose values are counted, each once.
        mask: what of the answer is wanted.
    """

    page_size: int = DEFAULT_PAGE_SIZE
    page_token: str = ""
    selection: Selection = EVERYTHING
    facets: tuple[str, ...] = ()
    mask: Mask = WHOLE


def parse_browse(request: Request) -> BrowseRequest:
    """Read what to list; BadRequest names the parameter, what was expected and what was found."""
    return BrowseRequest(**_read(request, BROWSE))


def parse_fields(request: Request, question: Question) -> Mask:
    """Read what of an answer is wanted, where nothing else is asked; else BadRequest."""
    mask: Mask = _read(request, question)["mask"]
    return mask


def _read(request: Request, question: Question) -> dict[str, Any]:
    # Who asks is no part of what is asked.
    values = gather((name, texts) for name, texts in request.args.lists() if name != KEY_PARAMETER)
    return read_fields(values, from_text=True, question=question)
