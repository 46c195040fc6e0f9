"""The wire format of requests: fields in, one frozen dataclass out; and the body of every error.

A search comes as multipart/form-data, with the photo in the file part `image`, or as JSON, with
`image.content` (base64) or `image.source.imageUri` (gs://). The other fields are the same in both;
a list is a repeated part in multipart. A field that is not known is refused: a misspelt filter
would otherwise be ignored in silence.

    pageSize            products to return, 1 to 100 (10)
    pageToken           nextPageToken of the answer before, with the same photo and fields
    scoreThreshold      the lowest cosine to return, -1 to 1
    imagesPerProduct    photos of each product to return, 1 to 100 (1)
    filter              on labels, as (color=red OR color=blue) AND style=kids; see filters.py
    productCategories   list: the product's category is one of them
    productSet          the product belongs to it
    excludeProductIds   list: products to leave out
    collapseDuplicates  true: of products that are found by the same picture, return the first

A page is full wherever enough products satisfy all of it. Pages end after 500 products: from there
on nextPageToken is empty.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from flask import Request

from .body import json_object
from .errors import BadRequest, FunctionError, UnsupportedImage
from .fields import (
    FIELDS,
    MAX_CATEGORIES,
    MAX_EXCLUDED_PRODUCTS,
    invalid,
    read_fields,
    unknown_fields,
)
from .filters import EVERYTHING, Selection

DOMAIN = "lookalike"
DEFAULT_PAGE_SIZE = 10
# Of multipart/form-data: every excluded product and category, the photo, and the other fields.
MAX_FORM_PARTS = MAX_EXCLUDED_PRODUCTS + MAX_CATEGORIES + 24


@dataclass(frozen=True)
class SearchRequest:
    """What to search for: `content`, or what lies at `image_uri`; the other one is empty.

    Attributes:
        content: the photo's bytes.
        image_uri: gs://bucket/object.
        page_size: products to return, 1 to MAX_PAGE_SIZE.
        page_token: as the caller sent it; "" for the first page.
        score_threshold: the lowest cosine to return, -1 to 1.
        images_per_product: photos of each product to return, best first.
        selection: which products may be returned.
        collapse_duplicates: whether products found by the same picture are returned once.
    """

    content: bytes = b""
    image_uri: str = ""
    page_size: int = DEFAULT_PAGE_SIZE
    page_token: str = ""
    score_threshold: float = -1.0
    images_per_product: int = 1
    selection: Selection = EVERYTHING
    collapse_duplicates: bool = False


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
    raise UnsupportedImage(
        f"Content-Type: expected multipart/form-data or application/json; "
        f"found {request.mimetype[:100]!r}.",
        reason="CONTENT_TYPE_UNSUPPORTED",
    )


def _parse_multipart(request: Request) -> SearchRequest:
    # The default allows fewer parts than one list of ids may have.
    request.max_form_parts = MAX_FORM_PARTS
    photos = request.files.getlist("image")
    others = sorted(set(request.files) - {"image"})
    if others:
        raise unknown_fields(others)
    if "image" in request.form:
        raise invalid("image", "a file part, with a filename", "a text part")
    if len(photos) != 1:
        raise _missing_image() if not photos else invalid("image", "one file", len(photos))
    values: dict[str, Any] = {}
    for name, texts in request.form.lists():
        is_list = name in FIELDS and FIELDS[name].is_list
        values[name] = texts if is_list or len(texts) > 1 else texts[0]
    return SearchRequest(content=photos[0].read(), **read_fields(values, from_text=True))


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
    plain = "".join(text.split()).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
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


def _missing_image() -> BadRequest:
    return BadRequest(
        "image: expected a photo, as a file part of multipart/form-data or as image.content of "
        "JSON; found none.",
        reason="IMAGE_MISSING",
    )
