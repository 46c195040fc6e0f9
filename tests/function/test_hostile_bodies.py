"""Bodies made to harm get their listed reason from the real server, and it goes on answering."""

import base64
import socket
import time
from contextlib import closing
from io import BytesIO

import pytest
from flask import Request
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException

from function.api import parse_search
from function.body import MAX_JSON_PARTS, json_object
from function.errors import BadRequest, FunctionError
from tests.answers import PHOTO, assert_refused, results
from tests.damage import damaged
from tests.hostile_bodies import BODIES, FORM, IMAGE, content, field, form, member
from tests.releases import TinyRelease
from tests.server import RunningFunction, run_function

PATH = "/v1/products:search"


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_gets_its_listed_reason(
    running_function: RunningFunction, name: str
) -> None:
    hostile = BODIES[name]
    answer = running_function.request(
        "POST", PATH, hostile.build(), {"Content-Type": hostile.content_type}
    )
    if hostile.outcome:
        status = 413 if "LARGE" in hostile.outcome else 415 if "TYPE" in hostile.outcome else 400
        assert_refused(answer, status, hostile.outcome)
    else:
        assert results(answer)


SEEDS = [
    (FORM, form(IMAGE, field(b"pageSize", b"3"), field(b"filter", b"a=1 AND (b=2 OR NOT c=3)"))),
    (FORM, form(field(b"facets", b"a"), field(b"facets", b"b"), IMAGE, field(b"fields", b"*"))),
    ("application/json", content(base64.b64encode(PHOTO[:99])[:-2])),
    ("application/json", member(b'"boundingPoly": {"vertices": [{"x": 1e3}, {}, {"y": -2}]}')),
]


@settings(max_examples=300)
@given(st.sampled_from(SEEDS).flatmap(lambda seed: st.tuples(st.just(seed[0]), damaged([seed[1]]))))
def test_a_damaged_body_is_read_or_refused(body: tuple[str, bytes]) -> None:
    content_type, data = body
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.input": BytesIO(data),
    }
    with closing(Request(environ)) as request:
        try:
            parse_search(request)
        except FunctionError as error:
            assert error.http_status in (400, 413, 415)  # noqa: PT017 - either outcome is right
        except HTTPException as error:
            # The envelope gives it the one body.
            assert error.code in (400, 413)  # noqa: PT017


def test_as_many_parts_as_a_batch_may_need_are_read() -> None:
    json_object(b'{"requests": [' + b"1," * (MAX_JSON_PARTS - 10) + b"1]}")
    with pytest.raises(BadRequest, match="more lists"):
        json_object(b'{"requests": [' + b"1," * MAX_JSON_PARTS + b"1]}")


def begin(running: RunningFunction, length: str, body: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", running.port), timeout=30)
    connection.sendall(
        f"POST {PATH} HTTP/1.1\r\nHost: here\r\nContent-Type: {FORM}\r\n"
        f"Content-Length: {length}\r\n\r\n".encode()
        + body
    )
    return connection


def answered(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    read = b""
    while more := connection.recv(65536):
        read += more
    return read


def test_slow_uploads_hold_no_place_of_a_search(
    tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("slow") / "log.txt"
    body = form(IMAGE)
    with run_function(
        log, root=str(tiny_release.root), max_running="1", max_waiting="1", threads="8"
    ) as running:
        running.wait_until_ready()
        slow = [begin(running, str(len(body)), b"") for _ in range(6)]
        for place in range(10):
            for connection in slow:
                connection.sendall(body[place : place + 1])
            # One place, one that may wait, and six who would take both.
            assert results(running.search(PHOTO))
            time.sleep(0.02)
        for connection in slow:
            connection.sendall(body[10:])
            assert connection.recv(65536).startswith(b"HTTP/1.1 ")
            connection.close()


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "５", "10, 20", "9" * 40])
def test_a_length_that_is_none_is_refused(running_function: RunningFunction, length: str) -> None:
    with begin(running_function, length, form(IMAGE)) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert answered(connection).partition(b"\r\n")[0].split()[1] in (b"400", b"411", b"413")
    assert results(running_function.search(PHOTO))


def test_a_length_that_is_too_large_is_a_body_that_is_cut_off(
    running_function: RunningFunction,
) -> None:
    body = form(IMAGE)
    with begin(running_function, str(len(body)), body[:-100]) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert answered(connection).partition(b"\r\n")[0].split()[1] == b"400"
    assert results(running_function.search(PHOTO))


def test_a_length_that_is_too_small_leaves_no_request_behind_that_is_answered(
    running_function: RunningFunction,
) -> None:
    body = form(IMAGE)
    with begin(running_function, "10", body) as connection:
        connection.shutdown(socket.SHUT_WR)
        lines = [line for line in answered(connection).splitlines() if line.startswith(b"HTTP/")]
    assert {line.split()[1] for line in lines} == {b"400"}
    assert results(running_function.search(PHOTO))
