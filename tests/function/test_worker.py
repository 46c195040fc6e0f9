"""A worker loads once, in each process, and tries again after a failure."""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from function import worker as worker_module
from function.errors import ReleaseError, Unavailable
from function.worker import Worker


class Loader:
    """Counts its calls; fails for the first few, and waits where it is told to."""

    def __init__(self, *, failures: int = 0, error: Exception | None = None) -> None:
        self.calls = 0
        self.failures = failures
        self.error = error or ReleaseError("embedder.onnx: expected 5 bytes, found 4")
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self) -> str:
        self.calls += 1
        self.may_go_on.wait(10)
        if self.calls <= self.failures:
            raise self.error
        return "loaded"


def test_concurrent_first_requests_load_once() -> None:
    load = Loader()
    load.may_go_on.clear()
    worker = Worker(load, wait_seconds=10)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(worker.get) for _ in range(4)]
        time.sleep(0.05)
        load.may_go_on.set()
        assert [answer.result() for answer in answers] == ["loaded"] * 4
    assert load.calls == 1
    assert worker.is_ready


def test_a_request_waits_only_so_long() -> None:
    load = Loader()
    load.may_go_on.clear()
    worker = Worker(load, wait_seconds=0.05)
    with pytest.raises(Unavailable) as caught:
        worker.get()
    assert (caught.value.reason, caught.value.http_status) == ("LOADING", 503)
    assert caught.value.retry_after_seconds
    with pytest.raises(Unavailable, match="still loading"):
        worker.get(wait=False)
    load.may_go_on.set()
    wait_until_ready(worker)
    assert worker.get(wait=False) == "loaded"
    assert load.calls == 1


def test_a_failed_load_is_told_and_tried_again_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(worker_module, "FIRST_RETRY_SECONDS", 0.2)
    load = Loader(failures=2)
    worker = Worker(load, wait_seconds=10)
    for _ in range(5):
        with pytest.raises(ReleaseError) as caught:
            worker.get()
        assert caught.value.reason == "NO_VALID_RELEASE"
        assert "onnx" not in caught.value.message
    assert load.calls == 1
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert line["severity"] == "ERROR"
    assert "embedder.onnx: expected 5 bytes, found 4" in line["message"]
    wait_until_ready(worker)
    assert load.calls == 3


def test_intervals_between_loads_grow_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "FIRST_RETRY_SECONDS", 1000.0)
    worker = Worker(Loader(failures=1), wait_seconds=10)
    with pytest.raises(ReleaseError) as caught:
        worker.get()
    assert caught.value.retry_after_seconds == worker_module.LONGEST_RETRY_SECONDS


def test_an_unforeseen_failure_is_logged_with_its_trace_but_not_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    worker = Worker(Loader(failures=1, error=ZeroDivisionError("secret")), wait_seconds=10)
    with pytest.raises(ReleaseError) as caught:
        worker.get()
    assert "secret" not in caught.value.message
    assert "ZeroDivisionError: secret" in json.loads(capsys.readouterr().out)["stack_trace"]


FORK = """
import os, sys, time
from function.worker import Worker

def load():
    print("load", os.getpid() == parent, flush=True)
    return "loaded"

parent = os.getpid()
worker = Worker(load, wait_seconds=10)
worker.start_after_fork()
child = os.fork()
if child == 0:
    deadline = time.monotonic() + 10
    while not worker.is_ready and time.monotonic() < deadline:
        time.sleep(0.01)
    os._exit(not worker.is_ready)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert not worker.is_ready
assert worker.get() == "loaded"
"""


def test_a_forked_process_loads_by_itself_and_its_parent_only_when_asked() -> None:
    # In a process of its own: others of this one's libraries may not be forked.
    ended = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60, check=True
    )
    loads = [line for line in ended.stdout.splitlines() if line.startswith("load")]
    assert loads == ["load False", "load True"]


def wait_until_ready(worker: "Worker[str]") -> None:
    deadline = time.monotonic() + 10
    while not worker.is_ready:
        assert time.monotonic() < deadline
        try:
            worker.get()
        except Unavailable:
            time.sleep(0.02)
