"""Bodies: forms, and JSON objects of known members, or what is wrong with them."""

import json
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from flask import Request
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.formparser import FormDataParser

from .errors import BadRequest, UnsupportedImage
from .fields import kind_of

# Lists, objects and what is in them, outside of texts or not: a search has a thousand or two, a
# batch some ten thousand. Each empty list takes thirty times the memory of its two characters.
MAX_JSON_PARTS = 100_000
_BETWEEN_PARTS = (b"[", b"{", b",")


def read_form(
    request: Request, *, max_parts: int
) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
    """Read multipart/form-data: its texts and its files; empty where it is none.

    Files stay in memory, as the request's length is limited: a photo needs no folder for temporary
    files, which may be full, and would lie in memory too on Cloud Run.
    """
    parser = FormDataParser(
        stream_factory=lambda *_, **__: BytesIO(),
        max_form_memory_size=request.max_form_memory_size,
        max_form_parts=max_parts,
    )
    _, texts, files = parser.parse(
        request.stream, request.mimetype, request.content_length, request.mimetype_params
    )
    return texts, files


def read_json(request: Request, *mimetypes: str) -> dict[str, Any]:
    """Read a body of one of these types, each of them JSON.

    Raises:
        BadRequest: it is empty, or no JSON object.
        UnsupportedImage: it is of another type.
    """
    if not request.content_length:
        raise BadRequest("The request is empty: send a JSON object.", reason="REQUEST_EMPTY")
    if request.mimetype not in mimetypes:
        raise UnsupportedImage(
            f"Content-Type: expected {' or '.join(mimetypes)}; found {request.mimetype[:100]!r}.",
            reason="CONTENT_TYPE_UNSUPPORTED",
        )
    return json_object(request.get_data(cache=False))


def json_object(data: bytes) -> dict[str, Any]:
    """Read an object; BadRequest where it is something else, or no JSON at all."""
    if sum(map(data.count, _BETWEEN_PARTS)) > MAX_JSON_PARTS:
        raise BadRequest(
            "The body: expected an object of a request's fields; found more lists, objects and "
            "members than any request has.",
            reason="JSON_INVALID",
        )
    try:
        body = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not valid JSON in UTF-8.", reason="JSON_INVALID") from None
    if not isinstance(body, dict):
        raise BadRequest(
            f"The body: expected a JSON object; found {kind_of(body)}.", reason="JSON_INVALID"
        )
    return body


def known_members(body: dict[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Return those members of an object that are not null; null counts as absent.

    Raises:
        BadRequest: it has others than may be.
    """
    if unknown := sorted(set(body) - set(known)):
        shown = ", ".join(name[:100] for name in unknown[:10])
        raise BadRequest(
            f"Unknown fields: {shown}. Known are {', '.join(known)}.",
            reason="FIELD_UNKNOWN",
            metadata={"fields": shown},
        )
    return {name: value for name, value in body.items() if value is not None}


def whole_number(value: object) -> int | None:
    """Return a number that is whole, as 2 and, to JSON Schema and Google's APIs, 2.0 are."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _refuse_constant(text: str) -> None:
    raise ValueError(text)
