"""A photo to search with, and what tests look for in an answer."""

import re
from io import BytesIO
from typing import Any

from tests.releases import draw_photo
from tests.server import Answer


def picture(**save: Any) -> bytes:
    output = BytesIO()
    draw_photo(1, 2).save(output, "JPEG", **save)
    return output.getvalue()


PHOTO = picture()


def results(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json()["productSearchResults"]["results"]
    return found


def assert_refused(answer: Answer, status: int, reason: str) -> dict[str, Any]:
    """The answer is the one error body, complete."""
    error: dict[str, Any] = answer.json()["error"]
    assert (answer.status, error["code"]) == (status, status), answer.body
    assert re.fullmatch(r"[A-Z_]+", error["status"])
    assert error["message"]
    (info,) = error["details"]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert (info["reason"], info["domain"]) == (reason, "lookalike")
    assert answer.headers["X-Request-Id"]
    assert answer.headers["Cache-Control"] == "no-store"
    return error
