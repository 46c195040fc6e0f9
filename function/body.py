"""Bodies: forms, and JSON objects of known members, or what is wrong with them."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from flask import Request
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from .errors import BadRequest, PayloadTooLarge, UnsupportedImage
from .fields import kind_of

# Lists, objects and what is in them, outside of texts or not: a search has a thousand or two, a
# batch some ten thousand. Each empty list takes thirty times the memory of its two characters.
MAX_JSON_PARTS = 100_000
_BETWEEN_PARTS = (b"[", b"{", b",")

# Of all texts of a form: the longest filter, a thousand excluded products, and more.
MAX_TEXT_BYTES = 500_000


class Form(NamedTuple):
    """What came as multipart/form-data, by the names of the parts.

    Attributes:
        texts: of the parts without a file name, in UTF-8.
        files: of those that have one.
    """

    texts: dict[str, list[str]]
    files: dict[str, list[bytes]]


def read_form(request: Request, *, max_parts: int) -> Form:
    """Read multipart/form-data.

    Files stay in memory, as the request's length is limited: a photo needs no folder for temporary
    files, which may be full, and would lie in memory too on Cloud Run.

    Args:
        request: whose body was not read yet.
        max_parts: texts and files, at most.

    Raises:
        BadRequest: it is malformed, or was cut off.
        PayloadTooLarge: it has more parts, longer heads or more text than any request needs.
    """
    form = Form({}, {})
    name, is_file = "", False
    pieces: list[bytes] = []
    text_bytes = 0
    try:
        # In strict mode, for otherwise a head is read anew with each line that it goes on for.
        parser = PushMultipartParser(
            request.mimetype_params.get("boundary", ""), max_segment_count=max_parts, strict=True
        )
        # In one piece: of several, what follows the last boundary would be refused, or not.
        for event in parser.parse(request.get_data(cache=False)):
            if isinstance(event, MultipartSegment):
                name, is_file, pieces = event.name, _is_file(event), []
            elif event is not None:
                pieces.append(event)
            elif is_file:
                form.files.setdefault(name, []).append(b"".join(pieces))
            else:
                text = b"".join(pieces)
                text_bytes += len(text)
                if text_bytes > MAX_TEXT_BYTES:
                    raise ParserLimitReached(f"More than {MAX_TEXT_BYTES:,} bytes of text")
                form.texts.setdefault(name, []).append(text.decode(errors="replace"))
        parser.close()
    except ParserLimitReached as limit:
        raise PayloadTooLarge(
            f"The form: expected at most {max_parts:,} parts with short heads, and "
            f"{MAX_TEXT_BYTES:,} bytes of text; found more ({limit.args[0]})."
        ) from None
    except MultipartError as error:
        raise BadRequest(
            f"The body: expected multipart/form-data, whole to its last boundary "
            f"({error.args[0]}).",
            reason="FORM_INVALID",
        ) from None
    return form


def _is_file(part: MultipartSegment) -> bool:
    # The second form is an older one, of names beyond ASCII.
    return part.filename is not None or "filename*=" in part.header("Content-Disposition")


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
