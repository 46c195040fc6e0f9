"""The README's table of errors: every reason, each provoked at a real server."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from function.openapi.errors import REASONS
from function.paging import pages_of
from tests.answers import PHOTO, picture
from tests.gcs import make_bucket
from tests.ports import free_port
from tests.releases import PRODUCTS, TinyRelease
from tests.server import Answer, RunningFunction, run_function

README = Path(__file__).parents[2] / "README.md"
# What no request is known to bring about; test_envelope.py raises what leads to them.
# And what takes a database that dies; test_database_outage.py has one.
FAULTS = {"DATABASE_UNAVAILABLE", "INTERNAL", "NOT_IN_STORAGE", "BAD_REQUEST"}

KEY, BOUND_KEY = "known", "bound"


def large() -> bytes:
    """63 megapixels in a few kilobytes."""
    output = BytesIO()
    Image.new("1", (9000, 7000)).save(output, "PNG")
    return output.getvalue()


def endless() -> bytes:
    """A progressive JPEG of more scans than any camera writes."""
    data = picture(progressive=True)
    start = data.index(b"\xff\xda")
    return data[:start] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00" * 101 + data[start:]


@pytest.fixture(scope="module")
def servers(
    tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., RunningFunction]]:
    """Start a function over the tiny release, or another root, with further settings."""
    with ExitStack() as running:

        def start(*, ready: bool = True, root: str = "", **settings: str) -> RunningFunction:
            log = tmp_path_factory.mktemp("function") / "log.txt"
            one = running.enter_context(
                run_function(log, root=root or str(tiny_release.root), **settings)
            )
            if ready:
                one.wait_until_ready()
            return one

        yield start


def annotate(running: RunningFunction) -> Answer:
    body = {"requests": [{"image": {}, "features": [{"type": "FACE_DETECTION"}]}]}
    answer = running.request(
        "POST",
        "/v1/images:annotate",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    # Told in the image's place.
    assert answer.status == 200
    (one,) = answer.json()["responses"]
    error = {"details": [{"reason": one["error"]["reason"]}]}
    return Answer(400, answer.headers, json.dumps({"error": error}).encode())


def token_of_another_index() -> str:
    return pages_of("another", "p1", ()).token(10)


def image_of(address: str) -> dict[str, Any]:
    return {"image": {"source": {"imageUri": address}}}


# At a function with the default settings.
ASKED: dict[str, Callable[[RunningFunction], Answer]] = {
    "REQUEST_EMPTY": lambda one: one.request("POST", "/v1/products:search", b""),
    "JSON_INVALID": lambda one: one.search_json(b"{"),
    "FORM_INVALID": lambda one: one.request(
        "POST", "/v1/products:search", b"--b", {"Content-Type": "multipart/form-data; boundary=b"}
    ),
    "FIELD_UNKNOWN": lambda one: one.search(PHOTO, colour="red"),
    "FIELD_INVALID": lambda one: one.search(PHOTO, pageSize=0),
    "FILTER_INVALID": lambda one: one.search(PHOTO, filter="color=red and x"),
    "FIELD_MASK_INVALID": lambda one: one.search(PHOTO, fields="results"),
    "POLYGON_INVALID": lambda one: one.search(PHOTO, boundingPoly="{}"),
    "FEATURE_UNSUPPORTED": annotate,
    "PAGE_TOKEN_INVALID": lambda one: one.search(PHOTO, pageToken="x"),
    "PAGE_TOKEN_EXPIRED": lambda one: one.search(PHOTO, pageToken=token_of_another_index()),
    "IMAGE_MISSING": lambda one: one.search_json({}),
    "IMAGE_EMPTY": lambda one: one.search(b""),
    "IMAGE_UNREADABLE": lambda one: one.search(PHOTO[:100]),
    "IMAGE_TOO_MANY_PIXELS": lambda one: one.search(large()),
    "IMAGE_TOO_MANY_SCANS": lambda one: one.search(endless()),
    "IMAGE_SOURCE_NOT_ALLOWED": lambda one: one.search_json(image_of("gs://elsewhere/a.jpg")),
    "ROUTE_NOT_FOUND": lambda one: one.get("/v2/products"),
    "PRODUCT_NOT_FOUND": lambda one: one.get(f"/v1/products/p{PRODUCTS}"),
    "IMAGE_NOT_FOUND": lambda one: one.get(f"/v1/images/{'0' * 64}"),
    "METHOD_NOT_ALLOWED": lambda one: one.get("/v1/products:search"),
    "LENGTH_REQUIRED": lambda one: one.request(
        "POST", "/v1/products:search", iter([PHOTO]), chunked=True
    ),
    "PAYLOAD_TOO_LARGE": lambda one: one.search(bytes(28_000_001)),
    "IMAGE_TOO_MANY_BYTES": lambda one: one.search(bytes(20_000_001)),
    "IMAGE_TYPE_UNSUPPORTED": lambda one: one.search(b"Dear shop, this is no photo."),
    "CONTENT_TYPE_UNSUPPORTED": lambda one: one.request(
        "POST", "/v1/products:search", PHOTO, {"Content-Type": "image/jpeg"}
    ),
}
# At one with settings of its own, by the functions below.
ELSEWHERE = {
    "IMAGE_SOURCE_NOT_FOUND",
    *("API_KEY_MISSING", "API_KEY_INVALID", "ORIGIN_NOT_ALLOWED"),
    *("QUEUE_FULL", "DEADLINE_EXCEEDED"),
    *("LOADING", "NO_VALID_RELEASE", "STORAGE_UNAVAILABLE"),
}


def assert_refused(answer: Answer, reason: str) -> None:
    (status,) = [kind.http_status for kind, reasons in REASONS.items() if reason in reasons]
    assert (answer.status, answer.json()["error"]["details"][0]["reason"]) == (status, reason)


def test_the_readme_lists_every_reason_with_its_status_and_what_to_do() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `([A-Z_]+)` \| (.*) \|$", README.read_text(), re.MULTILINE)
    assert rows == [
        (str(kind.http_status), reason, advice)
        for kind, reasons in REASONS.items()
        for reason, advice in reasons.items()
    ]


def test_every_reason_is_provoked_here() -> None:
    reasons = {reason for reasons in REASONS.values() for reason in reasons}
    assert ASKED.keys() | ELSEWHERE | FAULTS == reasons


@pytest.mark.parametrize("reason", ASKED)
def test_a_wrong_request_gets_its_reason(running_function: RunningFunction, reason: str) -> None:
    assert_refused(ASKED[reason](running_function), reason)


def test_access_keys_that_are_missing_unknown_or_of_other_pages(
    servers: Callable[..., RunningFunction], tmp_path: Path
) -> None:
    keys = tmp_path / "keys.txt"
    lines = {KEY: "", BOUND_KEY: " origins=https://shop.example"}
    keys.write_text(
        "\n".join(
            f"{key} {hashlib.sha256(key.encode()).hexdigest()}{rest}" for key, rest in lines.items()
        )
    )
    locked = servers(api_keys=str(keys))
    assert locked.search(PHOTO, {"X-Api-Key": KEY}).status == 200
    assert_refused(locked.search(PHOTO), "API_KEY_MISSING")
    assert_refused(locked.search(PHOTO, {"X-Api-Key": "unknown"}), "API_KEY_INVALID")
    elsewhere = {"X-Api-Key": BOUND_KEY, "Origin": "https://other.example"}
    assert_refused(locked.search(PHOTO, elsewhere), "ORIGIN_NOT_ALLOWED")


def test_more_searches_than_may_wait(servers: Callable[..., RunningFunction]) -> None:
    narrow = servers(max_running="1", max_waiting="1", threads="16")
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: narrow.search(PHOTO), range(48)))
    refused = [answer for answer in answers if answer.status != 200]
    assert refused
    for answer in refused:
        assert_refused(answer, "QUEUE_FULL")
        assert int(answer.headers["Retry-After"]) > 0


def test_a_search_that_takes_longer_than_it_may(servers: Callable[..., RunningFunction]) -> None:
    assert_refused(servers(deadline_seconds="0.000001").search(PHOTO), "DEADLINE_EXCEEDED")


def test_while_the_release_loads_and_where_there_is_none(
    servers: Callable[..., RunningFunction], tmp_path: Path
) -> None:
    loading = servers(ready=False, loading_wait_seconds="0")
    assert_refused(loading.search(PHOTO), "LOADING")
    empty = servers(ready=False, root=str(tmp_path))
    assert_refused(empty.search(PHOTO), "NO_VALID_RELEASE")


def test_storage_that_cannot_be_reached(
    tiny_release: TinyRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
    root = str(tiny_release.root)
    with run_function(tmp_path / "log.txt", root=root, source_buckets="photos") as running:
        running.wait_until_ready()
        answer = running.search_json(image_of("gs://photos/a.jpg"))
        assert_refused(answer, "STORAGE_UNAVAILABLE")


def test_a_source_that_is_not_there(
    gcs_emulator: str, tiny_release: TinyRelease, tmp_path: Path
) -> None:
    bucket = make_bucket(os.environ["STORAGE_EMULATOR_HOST"])
    with run_function(
        tmp_path / "log.txt",
        root=str(tiny_release.root),
        source_buckets=bucket.removeprefix("gs://"),
    ) as running:
        running.wait_until_ready()
        assert_refused(running.search_json(image_of(f"{bucket}/a.jpg")), "IMAGE_SOURCE_NOT_FOUND")
