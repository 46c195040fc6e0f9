"""The wire format of requests: fields in, one frozen dataclass out; and the body of every error.

A search comes as multipart/form-data, with the photo in the file part `image`, or as JSON, with
`image.content` (base64) or `image.source.imageUri` (gs://). The other fields are the same in both;
a list is a repeated part in multipart. A field that is not known is refused: a misspelt filter
would otherwise be ignored in silence.

    boundingPoly        the part of the photo to search, as an object of vertices; see region.py
    maxObjects          things to look for in the photo, 0 to 4 (0); each costs another inference
    pageSize            products to return, 1 to 100 (10)
    pageToken           nextPageToken of the answer before, with the same photo and fields
    scoreThreshold      the lowest cosine to return, -1 to 1
    imagesPerProduct    photos of each product to return, 1 to 100 (1)
    filter              on labels, as (color=red OR color=blue) AND style=kids; see filters.py
    productCategories   list: the product's category is one of them
    productSet          the product belongs to it
    excludeProductIds   list: products to leave out
    collapseDuplicates  true: of products that are found by the same picture, return the first
    explain             true: say where in the photos each score lies; at most 10 products a page
    facets              list: label keys, or productCategory, to count the values of; facets.py
    fields              list: the members of the answer that are wanted, as paths; see masks.py

A page is full wherever enough products satisfy all of it. Pages end after 500 products: from there
on nextPageToken is empty. Facets count all products that the filter, category, set and exclusions
allow, whatever the photo; with a scoreThreshold, those of the first 500 that reach it.

With maxObjects, a product is as near as to the photo or to the nearest of the things in it, and
productGroupedResults of the first page has what looks like each. It goes with neither boundingPoly,
by which the caller has found the thing, nor explain.

A search by a product has the same fields in JSON, but for those of a photo: image, boundingPoly,
maxObjects and explain. What is read from an address's query, `queries.py` reads.
"""

import base64
import binascii
import string
from dataclasses import dataclass
from typing import Any

from flask import Request

from .body import json_object, read_form
from .errors import BadRequest, FunctionError, UnsupportedImage
from .fields import (
    MAX_CATEGORIES,
    MAX_EXCLUDED_PRODUCTS,
    MAX_FACETS,
    SIMILAR,
    gather,
    invalid,
    read_fields,
    unknown_fields,
)
from .filters import EVERYTHING, Selection
from .masks import WHOLE, Mask
from .region import Region

DOMAIN = "lookalike"
DEFAULT_PAGE_SIZE = 10
# The URL-safe letters of base64 to the standard ones, and what may stand between them.
_STANDARD = bytes.maketrans(b"-_", b"+/")
_SPACES = string.whitespace.encode()
# Of multipart/form-data: every excluded product, category and facet, the photo, the other fields.
MAX_FORM_PARTS = MAX_EXCLUDED_PRODUCTS + MAX_CATEGORIES + MAX_FACETS + 24


@dataclass(frozen=True)
class SearchRequest:
    """What to search for: `content`, what lies at `image_uri`, or a product; the others are empty.

    Attributes:
        content: the photo's bytes.
        image_uri: gs://bucket/object.
        product_id: whose own photos are searched with.
        region: the part of the photo that is searched; None: all of it.
        max_objects: how many things to look for in the photo, 0 to MAX_OBJECTS.
        page_size: products to return, 1 to MAX_PAGE_SIZE.
        page_token: as the caller sent it; "" for the first page.
        score_threshold: the lowest cosine to return, -1 to 1.
        images_per_product: photos of each product to return, best first.
        selection: which products may be returned.
        collapse_duplicates: whether products found by the same picture are returned once.
        facets: keys whose values are counted, each once.
        mask: what of the answer is wanted.
        explain: whether to say where in the photos each score lies.
    """

    content: bytes = b""
    image_uri: str = ""
    product_id: str = ""
    region: Region | None = None
    max_objects: int = 0
    page_size: int = DEFAULT_PAGE_SIZE
    page_token: str = ""
    score_threshold: float = -1.0
    images_per_product: int = 1
    selection: Selection = EVERYTHING
    collapse_duplicates: bool = False
    facets: tuple[str, ...] = ()
    mask: Mask = WHOLE
    explain: bool = False


def parse_search(request: Request) -> SearchRequest:
    """Read a search; BadRequest names the field, what was expected and what was found."""
    if not request.content_length:
        raise BadRequest(
            "The request is empty: send a photo as the file part `image` of multipart/form-data, "
            "or as `image.content` of JSON.",
            reason="REQUEST_EMPTY",
        )
    if request.mimetype == "multipart/form-data":
        return _parse_multipart(request)
    if request.mimetype == "application/json":
        return parse_search_object(json_object(request.get_data(cache=False)))
    raise _unsupported("multipart/form-data or application/json", request)


def parse_similar(request: Request, product_id: str) -> SearchRequest:
    """Read a search by a product, whose body may be empty; BadRequest as `parse_search`."""
    if not request.content_length:
        return SearchRequest(product_id=product_id)
    if request.mimetype != "application/json":
        raise _unsupported("application/json", request)
    body = json_object(request.get_data(cache=False))
    options = read_fields(body, from_text=False, question=SIMILAR)
    return SearchRequest(product_id=product_id, **options)


def _parse_multipart(request: Request) -> SearchRequest:
    texts, files = read_form(request, max_parts=MAX_FORM_PARTS)
    if others := sorted(set(files) - {"image"}):
        raise unknown_fields(others)
    if "image" in texts:
        raise invalid("image", "a file part, with a filename", "a text part")
    photos = files.get("image", [])
    if len(photos) != 1:
        raise _missing_image() if not photos else invalid("image", "one file", len(photos))
    values = gather(texts.items())
    return SearchRequest(content=photos[0], **read_fields(values, from_text=True))


def parse_search_object(body: dict[str, Any]) -> SearchRequest:
    """Read a search that came as JSON."""
    image = body.pop("image", None)
    if image is None:
        raise _missing_image()
    content, image_uri = _parse_image(image)
    return SearchRequest(content, image_uri, **read_fields(body, from_text=False))


def _parse_image(image: object) -> tuple[bytes, str]:
    if not isinstance(image, dict):
        raise invalid("image", "an object", image)
    if unknown := sorted(set(image) - {"content", "source"}):
        raise unknown_fields([f"image.{name}" for name in unknown])
    if len(image) != 1:
        raise invalid("image", "either content or source", f"{len(image)} of them")
    if "content" in image:
        return _base64(image["content"]), ""
    source = image["source"]
    if not isinstance(source, dict):
        raise invalid("image.source", "an object", source)
    if unknown := sorted(set(source) - {"imageUri"}):
        raise unknown_fields([f"image.source.{name}" for name in unknown])
    uri = source.get("imageUri")
    if not isinstance(uri, str) or not uri:
        raise invalid("image.source.imageUri", "gs://bucket/object", uri)
    return b"", uri


def _base64(text: object) -> bytes:
    """Standard or URL-safe, with or without padding and line breaks, as Google's APIs take it."""
    if not isinstance(text, str):
        raise invalid("image.content", "a string in base64", text)
    try:
        # Bytes, not text: no part of 27 million characters becomes an object of its own.
        plain = text.encode("ascii").translate(_STANDARD, _SPACES).rstrip(b"=")
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("image.content", "base64", "other characters or a wrong length") from None


def error_body(error: FunctionError) -> dict[str, Any]:
    """Return the one JSON body of every error (AIP-193)."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.reason,
        "domain": DOMAIN,
        "metadata": error.metadata,
    }
    return {
        "error": {
            "code": error.http_status,
            "status": error.status,
            "message": error.message,
            "details": [info],
        }
    }


def _unsupported(expected: str, request: Request) -> UnsupportedImage:
    return UnsupportedImage(
        f"Content-Type: expected {expected}; found {request.mimetype[:100]!r}.",
        reason="CONTENT_TYPE_UNSUPPORTED",
    )


def _missing_image() -> BadRequest:
    return BadRequest(
        "image: expected a photo, as a file part of multipart/form-data or as image.content of "
        "JSON; found none.",
        reason="IMAGE_MISSING",
    )
