"""A worker replaces what it holds in the background, and lets go of it with its last request."""

import gc
import json
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from function import worker as worker_module
from function.errors import Unavailable
from function.worker import Worker
from tests.waiting import eventually


class Release:
    def __init__(self, number: int) -> None:
        self.number = number


class Shop:
    """Renews to the next number whenever one is published, and counts how often it was asked."""

    def __init__(self) -> None:
        self.published = 0
        self.looks = 0
        self.settled: list[int] = []
        self.error: Exception | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def first(self) -> Release:
        return Release(self.published)

    def next(self, held: Release) -> Release:
        self.looks += 1
        assert self.may_go_on.wait(30)
        if self.error:
            raise self.error
        return held if held.number == self.published else Release(self.published)

    def settle(self, held: Release) -> None:
        self.settled.append(held.number)

    def worker(self, seconds: float = 0.01) -> Worker[Release]:
        worker = Worker(
            self.first,
            wait_seconds=30,
            renew=self.next,
            renew_seconds=seconds,
            settle=self.settle,
        )
        worker.get()
        return worker


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.may_go_on.set()


def becomes(worker: Worker[Release], number: int) -> None:
    eventually(lambda: worker.get().number == number)


def test_what_is_published_is_held_from_then_on(shop: Shop) -> None:
    worker = shop.worker()
    for number in (1, 2, 1):
        shop.published = number
        becomes(worker, number)
    eventually(lambda: shop.settled == [1, 2, 1])


def test_no_request_waits_for_a_renewal_and_only_one_runs(shop: Shop) -> None:
    worker = shop.worker()
    shop.may_go_on.clear()
    shop.published = 1
    eventually(lambda: worker.get().number == 0 and shop.looks == 1)
    with ThreadPoolExecutor(8) as pool:
        held = list(pool.map(lambda _: worker.get().number, range(800)))
    assert held == [0] * 800
    assert shop.looks == 1
    shop.may_go_on.set()
    becomes(worker, 1)


def test_requests_start_a_look_and_nothing_else_does(shop: Shop) -> None:
    worker = shop.worker()
    time.sleep(0.1)
    assert shop.looks == 0
    worker.get()
    eventually(lambda: shop.looks == 1)
    time.sleep(0.1)
    assert shop.looks == 1


@pytest.mark.parametrize("seconds", [0.0, 3600.0])
def test_nobody_looks_before_it_is_due(shop: Shop, seconds: float) -> None:
    worker = shop.worker(seconds)
    for _ in range(100):
        worker.get()
    time.sleep(0.05)
    assert shop.looks == 0


def test_what_no_request_holds_any_more_is_freed_at_a_pause_by_the_thread_that_loads(
    shop: Shop,
) -> None:
    freed_by: list[str] = []
    alive_at_pause: list[bool] = []
    olds: list[weakref.ref[Release]] = []

    def first() -> Release:
        release = Release(0)
        olds.append(weakref.ref(release))
        weakref.finalize(release, lambda: freed_by.append(threading.current_thread().name))
        return release

    def pause() -> None:
        alive_at_pause.extend(old() is not None for old in olds)

    gc.disable()
    try:
        worker = Worker(first, wait_seconds=30, renew=shop.next, renew_seconds=0.01, pause=pause)
        worker.get()
        shop.published = 1
        becomes(worker, 1)
        eventually(lambda: bool(freed_by))
    finally:
        gc.enable()
    assert alive_at_pause == [True]
    assert freed_by == ["load-release"]


def test_a_request_keeps_what_it_began_with_and_the_last_one_frees_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MOST_REQUESTS_SECONDS", 0)
    gc.disable()
    try:
        worker = shop.worker()
        requests = [worker.get(), worker.get()]
        old = weakref.ref(requests[0])
        shop.published = 1
        becomes(worker, 1)
        assert [held.number for held in requests] == [0, 0]
        requests.pop()
        time.sleep(0.05)
        assert old() is not None
        assert shop.settled == []
        requests.pop()
        assert old() is None
        eventually(lambda: shop.settled == [1])
    finally:
        gc.enable()


def test_what_is_held_in_a_circle_is_freed_too(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "LAST_REQUEST_SECONDS", 0.05)
    worker = shop.worker()
    circle = [worker.get()]
    circle.append(circle)  # type: ignore[arg-type]
    old = weakref.ref(circle[0])
    del circle
    shop.published = 1
    becomes(worker, 1)
    eventually(lambda: shop.settled == [1])
    assert old() is None


def test_after_a_failed_look_what_is_held_serves_on_and_the_next_look_comes_later_each_time(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LONGEST_RENEWAL_SECONDS", 0.3)
    worker = shop.worker(0.05)
    shop.error, shop.published = Unavailable("gs://shop: cannot be reached."), 1
    looked_at: list[float] = []

    def looked_again() -> bool:
        assert worker.get().number == 0
        if shop.looks > len(looked_at):
            looked_at.append(time.monotonic())
        return len(looked_at) == 5

    eventually(looked_again)
    pauses = (later - earlier for earlier, later in pairwise(looked_at))
    for pause, least in zip(pauses, (0.1, 0.2, 0.3, 0.3), strict=True):
        assert pause > 0.8 * least
    shop.error = None
    becomes(worker, 1)


@pytest.mark.parametrize(
    ("error", "severity", "text"),
    [
        (Unavailable("gs://shop: cannot be reached."), "WARNING", "gs://shop: cannot be reached."),
        (ZeroDivisionError("secret"), "ERROR", "ZeroDivisionError: secret"),
    ],
)
def test_a_failed_look_is_logged_with_what_the_operator_needs(
    shop: Shop, capsys: pytest.CaptureFixture[str], error: Exception, severity: str, text: str
) -> None:
    worker = shop.worker()
    shop.error = error
    printed = ""

    def told() -> bool:
        nonlocal printed
        worker.get()
        printed += capsys.readouterr().out
        return "\n" in printed

    eventually(told)
    line = json.loads(printed.splitlines()[0])
    assert line["severity"] == severity
    assert text in line["message"] + line.get("stack_trace", "")
