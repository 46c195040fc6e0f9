"""The real server with more to do than it can: it answers, or says when to come back, or why."""

import json
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.releases import TinyRelease, draw_photo
from tests.server import Answer, RunningFunction, form, run_function

SEARCH = "/v1/products:search"


@pytest.fixture(scope="module")
def slow_photo() -> bytes:
    """49 megapixels in a small file: some tenths of a second to decode."""
    output = BytesIO()
    Image.new("RGB", (7000, 7000), "teal").save(output, "PNG")
    return output.getvalue()


@pytest.fixture(scope="module")
def photo() -> bytes:
    output = BytesIO()
    draw_photo(1, 2).save(output, "JPEG")
    return output.getvalue()


@pytest.fixture
def serve(tiny_release: TinyRelease, tmp_path: Path):
    """Start the function with these settings, ready."""

    @contextmanager
    def start(**settings: str) -> Iterator[RunningFunction]:
        # Busy machines are slow: only who asks for a deadline gets one.
        chosen = {"root": str(tiny_release.root), "search_deadline_seconds": "60", **settings}
        with run_function(tmp_path / "log.txt", **chosen) as running:
            running.wait_until_ready()
            yield running

    return start


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def reason(answer: Answer) -> str:
    (info,) = answer.json()["error"]["details"]
    return str(info["reason"])


def occupy(
    running: RunningFunction, pool: ThreadPoolExecutor, photo: bytes, searches: int
) -> "list[Future[Answer]]":
    """Post photos until one is searched for and the others wait."""
    posted = [pool.submit(running.search, photo)]
    wait_until(lambda: running.metric("lookalike_searches_running") == 1)
    posted += [pool.submit(running.search, photo) for _ in range(searches - 1)]
    wait_until(lambda: running.metric("lookalike_searches_queued") == searches - 1)
    return posted


def send(running: RunningFunction, *photos: bytes) -> socket.socket:
    """Post photos over one connection, all at once, without waiting for an answer."""
    connection = socket.create_connection(("127.0.0.1", running.port), timeout=30)
    for photo in photos:
        body, content_type = form(photo)
        head = f"POST {SEARCH} HTTP/1.1\r\nHost: here\r\nContent-Type: {content_type}\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def test_a_flood_is_answered_or_told_when_to_come_back_and_all_else_goes_on(
    serve, slow_photo: bytes
) -> None:
    with (
        serve(
            max_running_searches="1", max_queued_searches="2", search_deadline_seconds="60"
        ) as it,
        ThreadPoolExecutor(24) as pool,
    ):
        posted = [pool.submit(it.search, slow_photo) for _ in range(24)]
        meanwhile = [
            it.get(path).status
            for _ in range(3)
            for path in ("/health/ready", "/health/live", "/", "/v1/index")
        ]
        answers = [one.result() for one in posted]
        assert set(meanwhile) == {200}
        statuses = Counter(answer.status for answer in answers)
        assert statuses.keys() == {200, 429}
        assert statuses[200] >= 3
        for answer in answers:
            if answer.status == 429:
                assert answer.json()["error"]["status"] == "RESOURCE_EXHAUSTED"
                assert reason(answer) == "QUEUE_FULL"
                assert int(answer.headers["Retry-After"]) >= 1
        assert it.metric("lookalike_errors_total", reason="QUEUE_FULL") == statuses[429]
        counted = it.metric("lookalike_requests_total", route=SEARCH, status="200")
        assert counted == statuses[200]
        assert it.metric("lookalike_searches_running") == 0
        # It is as good as new.
        assert it.search(slow_photo).status == 200


def test_a_search_that_takes_too_long_is_given_up_wherever_it_is(serve, slow_photo: bytes) -> None:
    with (
        serve(max_running_searches="1", search_deadline_seconds="0.05") as it,
        ThreadPoolExecutor(1) as pool,
    ):
        (running,) = occupy(it, pool, slow_photo, 1)
        for one in (it.search(slow_photo), running.result()):
            assert (one.status, reason(one)) == (504, "DEADLINE_EXCEEDED")
            assert one.json()["error"]["status"] == "DEADLINE_EXCEEDED"
        # Neither came as far as the network.
        assert it.metric("lookalike_stage_seconds_count", stage="embed") == 0
        line = next(one for one in it.log_lines() if one.get("reason") == "DEADLINE_EXCEEDED")
        assert line["timingsMs"]["queue"] >= 0


def test_a_client_that_leaves_the_queue_frees_its_place_and_costs_nothing(
    serve, slow_photo: bytes
) -> None:
    with (
        serve(max_running_searches="1", max_queued_searches="2") as it,
        ThreadPoolExecutor(2) as pool,
    ):
        first, last = occupy(it, pool, slow_photo, 2)
        send(it, slow_photo).close()
        wait_until(lambda: it.metric("lookalike_errors_total", reason="CLIENT_LEFT") == 1)
        assert (first.result().status, last.result().status) == (200, 200)
        assert it.metric("lookalike_stage_seconds_count", stage="queue") == 3
        assert it.metric("lookalike_stage_seconds_count", stage="decode") == 2
        assert [one["reason"] for one in it.log_lines() if "reason" in one] == ["CLIENT_LEFT"]


def test_a_client_that_sends_its_next_request_already_has_not_left(
    serve, slow_photo: bytes, photo: bytes
) -> None:
    with serve(max_running_searches="1") as it, ThreadPoolExecutor(1) as pool:
        occupy(it, pool, slow_photo, 1)
        with send(it, photo, photo) as connection:
            read = b""
            while read.count(b"HTTP/1.1 200 OK") < 2:
                read += (more := connection.recv(65536))
                assert more, read


def test_those_who_wait_are_answered_before_the_server_ends(serve, slow_photo: bytes) -> None:
    with serve(max_running_searches="1") as it, ThreadPoolExecutor(4) as pool:
        posted = occupy(it, pool, slow_photo, 4)
        it.process.send_signal(signal.SIGTERM)
        assert [one.result().status for one in posted] == [200] * 4
        assert it.process.wait(30) == 0
        with pytest.raises(ConnectionError):
            it.get("/health/live")


def test_metrics_tell_what_is_served_and_what_it_took(serve, photo: bytes) -> None:
    with serve() as it:
        answer = it.search(photo).json()
        index = it.get("/v1/index").json()
        metrics = it.get("/metrics")
        assert metrics.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert it.metric("lookalike_request_seconds_count", route=SEARCH) == 1
        assert it.metric("lookalike_request_seconds_sum", route=SEARCH) > 0
        for stage, spent in answer["timingsMs"].items():
            told = it.metric("lookalike_stage_seconds_sum", stage=stage)
            assert told == pytest.approx(spent / 1e3)
        kind = index["index"]["kind"]
        served = {"release": index["release"], "model": index["modelVersion"]}
        served |= {"index": index["indexVersion"], "index_kind": kind}
        assert it.metric("lookalike_release_info", **served) == 1
        assert it.metric("process_resident_memory_bytes") > 1e6
        (loaded,) = (one for one in it.log_lines() if one["message"] == "The release is loaded.")
        assert {"program", "index", "golden", "query", "total"} <= loaded["timingsMs"].keys()
        for stage, spent in loaded["timingsMs"].items():
            told = it.metric("lookalike_cold_start_seconds", stage=stage)
            assert told == pytest.approx(spent / 1e3)
        # Paths that nobody made a route for must not become labels.
        for number in range(3):
            it.get(f"/no-such-{number}")
        assert it.metric("lookalike_requests_total", route="unknown", status="404") == 3


@pytest.mark.parametrize(("public", "status"), [("off", 404), ("on", 200)])
def test_metrics_pass_a_proxy_only_where_they_are_public(serve, public: str, status: int) -> None:
    with serve(public_metrics=public) as it:
        answer = it.get("/metrics", **{"X-Forwarded-For": "203.0.113.7"})
        assert answer.status == status
        if public == "off":
            assert reason(answer) == "METRICS_NOT_PUBLIC"
            assert "LOOKALIKE_PUBLIC_METRICS" in json.dumps(answer.json())
