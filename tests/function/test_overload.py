"""More searches than the processors can do, at the real server: some are refused, none is lost."""

import http.client
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.releases import TinyRelease
from tests.server import Answer, RunningFunction, form, run_function
from tests.waiting import eventually

WAITING = 2


def large_photo(pixels: int = 3000) -> bytes:
    """It takes a tenth of a second to decode: a PNG has no smaller scale."""
    noise = np.random.default_rng(0).integers(0, 256, (pixels // 8, pixels // 8, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).resize((pixels, pixels), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


LARGE = large_photo()


@pytest.fixture(scope="module")
def narrow(
    tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningFunction]:
    """One search at a time, and two that wait, with threads for more."""
    log = tmp_path_factory.mktemp("narrow") / "log.txt"
    with run_function(
        log, root=str(tiny_release.root), max_running="1", max_waiting=str(WAITING), threads="16"
    ) as running:
        running.wait_until_ready()
        yield running


def head(length: int, content_type: str) -> bytes:
    return (
        "POST /v1/products:search HTTP/1.1\r\nHost: here\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def begin(running: RunningFunction, length: int, content_type: str) -> socket.socket:
    """Send the head of a search, and nothing of its body yet."""
    connection = socket.create_connection(("127.0.0.1", running.port), timeout=30)
    connection.sendall(head(length, content_type))
    return connection


def test_a_flood_is_answered_or_refused_with_advice_and_probes_are_not_kept_waiting(
    narrow: RunningFunction,
) -> None:
    def search(_: int) -> Answer:
        return narrow.search(LARGE)

    with ThreadPoolExecutor(12) as pool:
        flood = [pool.submit(search, number) for number in range(36)]
        for _ in range(3):
            assert narrow.get("/health/ready").status == 200
        # Those searches that came before were not waited for.
        assert not all(search.done() for search in flood)
        answers = [search.result() for search in flood]
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) == {200, 429}
    assert statuses[200] >= 1 + WAITING
    for answer in answers:
        if answer.status == 429:
            error = answer.json()["error"]
            assert error["status"] == "RESOURCE_EXHAUSTED"
            assert error["details"][0]["reason"] == "QUEUE_FULL"
            assert int(answer.headers["Retry-After"]) >= 1
        else:
            assert answer.json()["timingsMs"]["queue"] >= 0
    assert narrow.metric('lookalike_requests_total{reason="QUEUE_FULL"') == statuses[429]
    assert narrow.metric("lookalike_searches_running ") == 0


def test_a_client_that_leaves_the_queue_costs_nothing(narrow: RunningFunction) -> None:
    body, content_type = form(LARGE)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(narrow.search, large_photo(6000))
        eventually(lambda: narrow.metric("lookalike_searches_running ") == 1)
        leaver = http.client.HTTPConnection("127.0.0.1", narrow.port)
        leaver.request("POST", "/v1/products:search", body, {"Content-Type": content_type})
        eventually(lambda: narrow.metric("lookalike_searches_waiting ") == 1)
        leaver.close()
        assert first.result().status == 200
    left = 'lookalike_requests_total{reason="CLIENT_LEFT"'
    eventually(lambda: narrow.metric(left) == 1)
    (line,) = (line for line in narrow.log_lines() if line.get("reason") == "CLIENT_LEFT")
    assert "decode" not in line["timingsMs"]


def test_the_photo_of_a_client_that_leaves_while_it_is_decoded_is_not_embedded(
    narrow: RunningFunction,
) -> None:
    body, content_type = form(large_photo(6000))
    left = 'lookalike_requests_total{reason="CLIENT_LEFT"'
    before = narrow.metric(left)
    leaver = http.client.HTTPConnection("127.0.0.1", narrow.port)
    leaver.request("POST", "/v1/products:search", body, {"Content-Type": content_type})
    eventually(lambda: narrow.metric("lookalike_searches_running ") == 1)
    leaver.close()
    eventually(lambda: narrow.metric(left) == before + 1)
    *_, line = (line for line in narrow.log_lines() if line.get("reason") == "CLIENT_LEFT")
    assert "decode" in line["timingsMs"]
    assert "embed" not in line["timingsMs"]


def test_a_search_past_its_deadline_is_answered_504(
    tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("hasty") / "log.txt"
    with run_function(log, root=str(tiny_release.root), deadline_seconds="0.001") as running:
        running.wait_until_ready()
        answer = running.search(LARGE)
        assert answer.status == 504
        assert answer.json()["error"]["status"] == "DEADLINE_EXCEEDED"
        assert answer.headers["Retry-After"] == "1"


def test_a_slow_upload_does_not_count_against_the_deadline(
    tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("slow") / "log.txt"
    with run_function(log, root=str(tiny_release.root), deadline_seconds="2") as running:
        running.wait_until_ready()
        body, content_type = form(large_photo(200))
        with begin(running, len(body), content_type) as connection:
            for part in (body[: len(body) // 2], body[len(body) // 2 :]):
                connection.sendall(part)
                time.sleep(1.2)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_sends_its_next_request_already_has_not_left(
    narrow: RunningFunction,
) -> None:
    body, content_type = form(large_photo(200))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(narrow.search, large_photo(6000))
        eventually(lambda: narrow.metric("lookalike_searches_running ") == 1)
        with begin(narrow, len(body), content_type) as connection:
            connection.sendall(body + head(len(body), content_type) + body)
            read = b""
            while read.count(b"HTTP/1.1 200 ") < 2:
                read += (more := connection.recv(65536))
                assert more, read
        assert first.result().status == 200


def test_those_who_wait_are_answered_before_the_server_ends(
    tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("ending") / "log.txt"
    # A busy machine is slow: here nobody is given up.
    chosen = {"max_running": "1", "deadline_seconds": "60", "threads": "16"}
    with run_function(log, root=str(tiny_release.root), **chosen) as running:
        running.wait_until_ready()
        with ThreadPoolExecutor(4) as pool:
            answers = [pool.submit(running.search, large_photo(6000))]
            eventually(lambda: running.metric("lookalike_searches_running ") == 1)
            answers += [pool.submit(running.search, LARGE) for _ in range(3)]
            eventually(lambda: running.metric("lookalike_searches_waiting ") == 3)
            running.process.send_signal(signal.SIGTERM)
            assert [answer.result().status for answer in answers] == [200] * 4
        assert running.process.wait(30) == 0


def test_metrics_tell_stages_and_release_and_can_be_closed(
    narrow: RunningFunction, tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory
) -> None:
    narrow.search(LARGE)
    answer = narrow.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    text = answer.body.decode()
    assert f'release="{tiny_release.release_id}"' in text
    for stage in ("parse", "queue", "decode", "embed", "search"):
        assert narrow.metric(f'lookalike_stage_seconds_count{{stage="{stage}"') >= 1
    for stage in ("open program", "open index", "try"):
        assert narrow.metric(f'lookalike_loading_seconds{{stage="{stage}"') > 0
    assert narrow.metric("process_resident_memory_bytes ") > 1e7
    log = tmp_path_factory.mktemp("closed") / "log.txt"
    with run_function(log, root=str(tiny_release.root), metrics="off") as closed:
        assert closed.get("/metrics").status == 404
