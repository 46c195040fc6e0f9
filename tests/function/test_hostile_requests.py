"""Requests that want more than an answer: files, lines of the log, the rights of a page."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from function.envelope import NO_PAGE_POLICY
from function.release import IMAGES
from function.telemetry import MAX_LOGGED_CHARACTERS
from tests.answers import PHOTO
from tests.releases import TinyRelease
from tests.server import Answer, RunningFunction

# -- files that no address leads to

UP = ("..", "%2e%2e", "%2E%2E", ".%2e", "..%00", "%252e%252e", "..%5c..")
BETWEEN = ("/", "%2f", "%5c", "//")
TARGETS = ("current.json", "etc/passwd", "main.py")


@pytest.mark.parametrize("start", ["/v1/images/", "/v1/products/", "/web/", "/"])
@pytest.mark.parametrize("up", UP)
def test_no_address_leads_out_of_what_it_names(
    running_function: RunningFunction, tiny_release: TinyRelease, start: str, up: str
) -> None:
    (release,) = (tiny_release.root / "releases").iterdir()
    secrets = [(tiny_release.root / "current.json").read_bytes(), b"root:", b"import "]
    for between in BETWEEN:
        for target in (*TARGETS, f"releases/{release.name}/manifest.json"):
            for depth in (1, 2, 4):
                answer = running_function.get(start + between.join([up] * depth + [target]))
                assert answer.status in (400, 404), (answer.status, answer.body[:100])
                assert not any(secret in answer.body for secret in secrets)


@pytest.mark.parametrize("path", ["/etc/passwd", "//etc/passwd", "/web//etc/passwd", "/web/%2fetc"])
def test_no_absolute_address_is_taken_for_a_file(
    running_function: RunningFunction, path: str
) -> None:
    assert running_function.get(path).status == 404


# -- lines of the log

FORGED = 'x\n{"severity": "ERROR", "message": "forged"}\r\x1b[31mred\x1b[0m" \\ \u2028 \x00'


def quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def test_no_request_writes_a_line_of_its_own(running_function: RunningFunction) -> None:
    def new_lines() -> list[str]:
        return running_function.log.read_text().split("\n")[before:-1]

    before = running_function.log.read_text().count("\n")
    for name in ("User-Agent", "Origin", "X-Request-Id", "traceparent", "X-Api-Key"):
        # The server itself lets no control character through.
        assert running_function.get("/v1/index", **{name: "x\x1b[31m"}).status == 400
    assert new_lines() == []
    headers = {
        "User-Agent": """x", "message": "forged"} \\n \\x1b[31m \xe9""",
        "Origin": """https://x", "severity": "ERROR""",
        "X-Request-Id": """x", "message": "forged""",
        "traceparent": """00-" \\n-x-01""",
    }
    answers = [
        running_function.get(f"/v1/products/{quoted(FORGED)}", **headers),
        running_function.get(f"/{quoted(FORGED)}", **headers),
        running_function.get(f"/v1/index?{quoted(FORGED)}=x", **headers),
        running_function.search(PHOTO, headers, field=FORGED),
    ]
    lines = new_lines()
    assert len(lines) == len(answers)
    for answer, line in zip(answers, lines, strict=True):
        assert answer.status in (400, 404)
        logged = json.loads(line)
        assert logged["message"] != "forged"
        assert logged["severity"] == "WARNING"
        assert logged["requestId"] == answer.headers["X-Request-Id"]
        assert logged["requestId"].isalnum()
        assert line.isascii()
        assert line.isprintable()


def test_a_caller_makes_no_line_long(running_function: RunningFunction) -> None:
    mark = uuid4().hex
    path = f"/{mark}{'a' * 50_000}"
    assert running_function.get(path, **{"User-Agent": "b" * 5000}).status == 404
    (line,) = (line for line in running_function.log.read_text().split("\n") if mark in line)
    assert len(line) < 4 * MAX_LOGGED_CHARACTERS


# -- what a browser may do with an answer


def preflight(running: RunningFunction) -> Answer:
    return running.request(
        "OPTIONS", "/v1/products:search", headers={"Origin": "https://shop.example"}
    )


def event(running: RunningFunction) -> Answer:
    body = json.dumps({"requestId": "r1", "type": "view", "productId": "p1"}).encode()
    return running.request("POST", "/v1/events", body, {"Content-Type": "application/json"})


def unchanged(running: RunningFunction) -> Answer:
    return running.get("/v1/index", **{"If-None-Match": running.get("/v1/index").headers["ETag"]})


ANSWERS: dict[str, tuple[int, Callable[[RunningFunction], Answer]]] = {
    "a search": (200, lambda one: one.search(PHOTO)),
    "the index": (200, lambda one: one.get("/v1/index")),
    "metrics": (200, lambda one: one.get("/metrics")),
    "a description": (200, lambda one: one.get("/openapi.json")),
    "readiness": (200, lambda one: one.get("/health/ready")),
    "a head": (200, lambda one: one.request("HEAD", "/v1/index")),
    "a preflight": (204, preflight),
    "an event": (204, event),
    "what has not changed": (304, unchanged),
    "a bad request": (400, lambda one: one.search(b"")),
    "no product": (404, lambda one: one.get("/v1/products/none")),
    "no route": (404, lambda one: one.get("/nowhere")),
    "no icon, by the framework": (404, lambda one: one.get("/favicon.ico")),
    "another method": (405, lambda one: one.get("/v1/products:search")),
    "no length": (
        411,
        lambda one: one.request("POST", "/v1/products:search", iter([b"x"]), chunked=True),
    ),
    "a large body": (413, lambda one: one.search(bytes(28_000_001))),
    "another type": (415, lambda one: one.search(b"no photo")),
}
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Content-Security-Policy": NO_PAGE_POLICY,
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_every_answer_says_that_it_is_no_page(running_function: RunningFunction, kind: str) -> None:
    status, ask = ANSWERS[kind]
    answer = ask(running_function)
    assert answer.status == status
    assert {name: answer.headers[name] for name in SAFE} == SAFE
    assert answer.headers["X-Request-Id"]
    assert answer.headers["Cache-Control"]
    assert answer.headers["Set-Cookie"] is None


def test_a_stored_photo_says_so_too(
    running_function: RunningFunction, tiny_release: TinyRelease
) -> None:
    stored = next((tiny_release.root / IMAGES).glob("*.jpg"))
    answer = running_function.get(f"/v1/images/{stored.stem}")
    assert {name: answer.headers[name] for name in SAFE} == SAFE


@pytest.mark.parametrize("path", ["/", "/web/main.js", "/web/styles.css"])
def test_the_page_has_a_policy_of_its_own(running_function: RunningFunction, path: str) -> None:
    headers = running_function.get(path).headers
    own = headers["Content-Security-Policy"]
    assert own.startswith("default-src 'none'; script-src 'self'")
    assert {**SAFE, "Content-Security-Policy": own} == {name: headers[name] for name in SAFE}


# -- what is no HTTP

MALFORMED = (
    b"GET / HTTP/1.1\r\nHost: here\r\n<script>alert(1)</script>: x\r\n\r\n",
    b"<script>alert(1)</script> / HTTP/1.1\r\nHost: here\r\n\r\n",
    b"GET / HTTP/9.9<script>alert(1)</script>\r\n\r\n",
    b"POST /v1/products:search HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc",
    b"POST /v1/products:search HTTP/1.1\r\nContent-Length: 3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/index HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 100 + b"\r\n\r\n",
)


@pytest.mark.parametrize("request_", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_no_http_is_refused_once_and_not_repeated(
    running_function: RunningFunction, request_: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", running_function.port), timeout=30) as connection:
        connection.sendall(request_)
        connection.shutdown(socket.SHUT_WR)
        told = b""
        while more := connection.recv(65536):
            told += more
    assert told.count(b"HTTP/1.1 ") <= 1
    assert b" 200 " not in told
    assert b"<script>" not in told
    assert b"Traceback" not in told
    assert str(Path(__file__).parents[2]).encode() not in told
    assert running_function.get("/health/live").status == 200
