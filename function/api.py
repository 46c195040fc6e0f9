"""The wire format of requests: fields in, one frozen dataclass out; and the body of every error.

A search comes as multipart/form-data, with the photo in the file part `image`, or as JSON, with
`image.content` (base64) or `image.source.imageUri` (gs://). The other fields are the same in both;
a list is a repeated part in multipart. A field that is not known is refused: a misspelt filter
would otherwise be ignored in silence.
"""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Request

from .errors import BadRequest, FunctionError, UnsupportedImage

DOMAIN = "lookalike"
DEFAULT_PAGE_SIZE = 10
MAX_PAGE_SIZE = 100
MAX_IMAGES_PER_PRODUCT = 100
MAX_EXCLUDED_PRODUCTS = 1000
MAX_ID_CHARACTERS = 1024
# Of multipart/form-data: every excluded product, the photo, and the other fields.
MAX_FORM_PARTS = MAX_EXCLUDED_PRODUCTS + 24


@dataclass(frozen=True)
class SearchRequest:
    """What to search for: `content`, or what lies at `image_uri`; the other one is empty.

    Attributes:
        content: the photo's bytes.
        image_uri: gs://bucket/object.
        page_size: products to return, 1 to MAX_PAGE_SIZE.
        score_threshold: the lowest cosine to return, -1 to 1.
        images_per_product: photos of each product to return, best first.
        exclude_product_ids: products to leave out.
    """

    content: bytes = b""
    image_uri: str = ""
    page_size: int = DEFAULT_PAGE_SIZE
    score_threshold: float = -1.0
    images_per_product: int = 1
    exclude_product_ids: frozenset[str] = frozenset()


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
        return _parse_json(request.get_data(cache=False))
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
        raise _unknown(others)
    if "image" in request.form:
        raise _invalid("image", "a file part, with a filename", "a text part")
    if len(photos) != 1:
        raise _missing_image() if not photos else _invalid("image", "one file", len(photos))
    values: dict[str, Any] = {}
    for name, texts in request.form.lists():
        is_list = name in _FIELDS and _FIELDS[name].is_list
        values[name] = texts if is_list or len(texts) > 1 else texts[0]
    return SearchRequest(content=photos[0].read(), **_options(values, from_text=True))


def _parse_json(data: bytes) -> SearchRequest:
    try:
        body = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not valid JSON in UTF-8.", reason="JSON_INVALID") from None
    if not isinstance(body, dict):
        raise BadRequest(
            f"The body: expected a JSON object; found {_kind(body)}.", reason="JSON_INVALID"
        )
    image = body.pop("image", None)
    if image is None:
        raise _missing_image()
    content, image_uri = _parse_image(image)
    return SearchRequest(content, image_uri, **_options(body, from_text=False))


def _parse_image(image: object) -> tuple[bytes, str]:
    if not isinstance(image, dict):
        raise _invalid("image", "an object", image)
    if unknown := sorted(set(image) - {"content", "source"}):
        raise _unknown([f"image.{name}" for name in unknown])
    if len(image) != 1:
        raise _invalid("image", "either content or source", f"{len(image)} of them")
    if "content" in image:
        return _base64(image["content"]), ""
    source = image["source"]
    if not isinstance(source, dict):
        raise _invalid("image.source", "an object", source)
    if unknown := sorted(set(source) - {"imageUri"}):
        raise _unknown([f"image.source.{name}" for name in unknown])
    uri = source.get("imageUri")
    if not isinstance(uri, str) or not uri:
        raise _invalid("image.source.imageUri", "gs://bucket/object", uri)
    return b"", uri


def _base64(text: object) -> bytes:
    """Standard or URL-safe, with or without padding and line breaks, as Google's APIs take it."""
    if not isinstance(text, str):
        raise _invalid("image.content", "a string in base64", text)
    plain = "".join(text.split()).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("image.content", "base64", "other characters or a wrong length") from None


@dataclass(frozen=True)
class _Field:
    """How one field is read: `parse` returns None for what it cannot take."""

    name: str
    expected: str
    parse: Callable[[Any], object]
    is_list: bool = False


def _options(values: dict[str, Any], *, from_text: bool) -> dict[str, Any]:
    """Read all fields but the photo."""
    if unknown := sorted(set(values) - set(_FIELDS)):
        raise _unknown(unknown)
    options = {}
    for name, value in values.items():
        field = _FIELDS[name]
        if from_text and not field.is_list:
            found = _number(value) if isinstance(value, str) else None
        else:
            found = value
        parsed = field.parse(found)
        if parsed is None:
            raise _invalid(name, field.expected, value)
        options[field.name] = parsed
    return options


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _whole(lowest: int, highest: int) -> Callable[[Any], int | None]:
    def parse(value: object) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        return value if lowest <= value <= highest else None

    return parse


def _cosine(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -1 <= value <= 1 else None


def _ids(value: object) -> frozenset[str] | None:
    if not isinstance(value, list) or len(value) > MAX_EXCLUDED_PRODUCTS:
        return None
    if not all(isinstance(item, str) and 0 < len(item) <= MAX_ID_CHARACTERS for item in value):
        return None
    return frozenset(item.removeprefix("products/") for item in value)


_FIELDS = {
    "pageSize": _Field(
        "page_size", f"a whole number, 1 to {MAX_PAGE_SIZE}", _whole(1, MAX_PAGE_SIZE)
    ),
    "scoreThreshold": _Field("score_threshold", "a number, -1 to 1", _cosine),
    "imagesPerProduct": _Field(
        "images_per_product",
        f"a whole number, 1 to {MAX_IMAGES_PER_PRODUCT}",
        _whole(1, MAX_IMAGES_PER_PRODUCT),
    ),
    "excludeProductIds": _Field(
        "exclude_product_ids",
        f"up to {MAX_EXCLUDED_PRODUCTS} product ids of 1 to {MAX_ID_CHARACTERS} characters",
        _ids,
        is_list=True,
    ),
}


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


def _refuse_constant(text: str) -> None:
    raise ValueError(text)


def _missing_image() -> BadRequest:
    return BadRequest(
        "image: expected a photo, as a file part of multipart/form-data or as image.content of "
        "JSON; found none.",
        reason="IMAGE_MISSING",
    )


def _invalid(name: str, expected: str, found: object) -> BadRequest:
    return BadRequest(
        f"{name}: expected {expected}; found {_kind(found)}.",
        reason="FIELD_INVALID",
        metadata={"field": name},
    )


def _unknown(names: list[str]) -> BadRequest:
    shown = ", ".join(name[:100] for name in names[:10])
    return BadRequest(
        f"Unknown fields: {shown}. Known are image, {', '.join(_FIELDS)}.",
        reason="FIELD_UNKNOWN",
        metadata={"fields": shown},
    )


def _kind(value: object) -> str:
    """Show a caller's value, shortened, or only its kind where it may be large."""
    if isinstance(value, str):
        return repr(value[:60])
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    return str(value)[:60]
