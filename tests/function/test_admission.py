"""Few compute, some wait in the order of their arrival, the others are told at once."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function.admission import REFUSALS_PER_SECOND, Admission
from function.errors import ClientLeft, DeadlineExceeded, FunctionError, QueueFull
from tests.waiting import PATIENCE_SECONDS, eventually


class Occupied:
    """All places of an admission, held until they are freed."""

    def __init__(self, admission: Admission, places: int = 1) -> None:
        self._freed = threading.Event()
        self._pool = ThreadPoolExecutor(places)
        self._held = [self._pool.submit(self._hold, admission) for _ in range(places)]
        eventually(lambda: admission.running == places)

    def _hold(self, admission: Admission) -> None:
        with admission.place():
            assert self._freed.wait(PATIENCE_SECONDS)

    def free(self) -> None:
        self._freed.set()
        for held in self._held:
            held.result(PATIENCE_SECONDS)
        self._pool.shutdown()


def test_who_comes_first_is_first() -> None:
    admission = Admission(running=1, waiting=20)
    occupied = Occupied(admission)
    order: list[int] = []

    def wait(number: int) -> None:
        with admission.place():
            order.append(number)

    with ThreadPoolExecutor(20) as pool:
        for number in range(20):
            pool.submit(wait, number)
            eventually(lambda number=number: admission.waiting == number + 1)  # type: ignore[misc]
        occupied.free()
    assert order == list(range(20))
    assert (admission.running, admission.waiting) == (0, 0)


@pytest.mark.parametrize("waiting", [0, 3])
def test_one_more_than_may_wait_is_told_when_to_come_again(waiting: int) -> None:
    admission = Admission(running=2, waiting=waiting)
    with admission.place():
        time.sleep(0.05)
    occupied = Occupied(admission, places=2)
    with ThreadPoolExecutor(max(1, waiting)) as pool:

        def wait() -> None:
            with admission.place():
                pass

        for _ in range(waiting):
            pool.submit(wait)
        eventually(lambda: admission.waiting == waiting)
        with pytest.raises(QueueFull) as refused, admission.place():
            pass
        assert refused.value.retry_after_seconds == 1
        assert refused.value.metadata == {"limit": str(waiting)}
        with pytest.raises(QueueFull):
            admission.check()
        occupied.free()
    admission.check()


def test_the_advice_grows_with_how_long_searches_take() -> None:
    admission = Admission(running=1, waiting=0)
    with admission.place():
        time.sleep(1.1)
    occupied = Occupied(admission)
    with pytest.raises(QueueFull) as refused, admission.place():
        pass
    assert refused.value.retry_after_seconds == 2
    occupied.free()


class Clock:
    """In the place of `time`: passes as it is told to, whatever the machine does meanwhile."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_who_is_refused_comes_after_those_who_were_before_but_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("function.admission.time", clock)
    monkeypatch.setattr("function.admission.MOST_DETOUR_SECONDS", 3.0)
    admission = Admission(running=1, waiting=0)
    with admission.place():
        clock.sleep(0.6)
    occupied = Occupied(admission)
    told = []
    for _ in range(12):
        with pytest.raises(QueueFull) as refused:
            admission.check()
        told.append(refused.value.retry_after_seconds)
    # Every 0.6 seconds one more could be let in.
    assert told[:3] == [1, 2, 2]
    assert told == sorted(told)
    # Behind the one that computes, and three seconds at most behind others.
    assert told[-1] == 4
    occupied.free()


def test_refusals_keep_their_pace() -> None:
    admission = Admission(running=1, waiting=0)
    occupied = Occupied(admission)
    start = time.monotonic()
    with ThreadPoolExecutor(11) as pool:
        refusals = [pool.submit(admission.check) for _ in range(11)]
    assert time.monotonic() - start >= 10 / REFUSALS_PER_SECOND
    assert all(isinstance(refusal.exception(), QueueFull) for refusal in refusals)
    occupied.free()
    admission.check()


def test_waiting_ends_at_the_deadline_and_leaves_no_trace() -> None:
    admission = Admission(running=1, waiting=5)
    occupied = Occupied(admission)
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded), admission.place(until=start + 0.15):
        pass
    assert time.monotonic() - start >= 0.15
    assert admission.waiting == 0
    occupied.free()
    with admission.place(until=time.monotonic()):
        assert admission.running == 1


def test_a_client_that_left_waits_no_longer_and_computes_nothing() -> None:
    admission = Admission(running=1, waiting=5)
    occupied = Occupied(admission)
    with pytest.raises(ClientLeft), admission.place(has_left=lambda: True):
        raise AssertionError
    assert admission.waiting == 0
    occupied.free()
    with pytest.raises(ClientLeft), admission.place(has_left=lambda: True):
        raise AssertionError
    assert admission.running == 0


def test_a_search_that_fails_gives_its_place_back() -> None:
    admission = Admission(running=1, waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), admission.place():
            raise ZeroDivisionError
    assert admission.running == 0


@settings(max_examples=20)
@given(
    running=st.integers(1, 4),
    waiting=st.integers(0, 6),
    callers=st.integers(1, 16),
    seed=st.integers(0, 2**32),
)
def test_whatever_callers_do_no_place_is_lost_and_none_is_given_twice(
    running: int, waiting: int, callers: int, seed: int
) -> None:
    admission = Admission(running=running, waiting=waiting)
    inside, most = 0, 0
    lock = threading.Lock()

    def call(number: int) -> None:
        nonlocal inside, most
        chance = random.Random(seed + number)  # noqa: S311 - no secret
        for _ in range(6):
            until = time.monotonic() + chance.choice((0.0, 0.001, 0.01, 5.0))
            leaves = chance.random() < 0.2
            try:
                with admission.place(until=until, has_left=lambda leaves=leaves: leaves):  # type: ignore[misc]
                    with lock:
                        inside += 1
                        most = max(most, inside)
                    time.sleep(chance.choice((0, 0.001)))
                    with lock:
                        inside -= 1
                    if chance.random() < 0.2:
                        raise ZeroDivisionError
            except (FunctionError, ZeroDivisionError):
                pass
            assert admission.waiting <= waiting

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, range(callers)))
    assert most <= running
    assert (admission.running, admission.waiting) == (0, 0)
    with ExitStack() as places:
        for _ in range(running):
            places.enter_context(admission.place(until=time.monotonic()))
        assert admission.running == running


def test_who_had_a_place_before_waits_in_a_full_queue() -> None:
    admission = Admission(running=1, waiting=0)
    occupied = Occupied(admission)
    with pytest.raises(QueueFull), admission.place():
        pass
    with ThreadPoolExecutor(1) as pool:

        def again() -> None:
            with admission.place(is_admitted=True):
                pass

        waits = pool.submit(again)
        eventually(lambda: admission.waiting == 1)
        occupied.free()
        waits.result(PATIENCE_SECONDS)
    assert (admission.running, admission.waiting) == (0, 0)


def test_who_waits_for_an_idle_moment_gets_it_when_the_last_search_has_ended() -> None:
    admission = Admission(running=2, waiting=1)
    admission.wait_until_idle()
    with ThreadPoolExecutor(1) as pool, admission.place():
        with admission.place():
            waiting = pool.submit(admission.wait_until_idle)
            time.sleep(0.05)
            assert not waiting.done()
        time.sleep(0.05)
        assert not waiting.done()
    waiting.result()


def test_nobody_waits_for_an_idle_moment_for_ever() -> None:
    admission = Admission(running=1, waiting=1)
    with admission.place():
        admission.wait_until_idle()
