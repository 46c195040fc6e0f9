"""No more run than may, no more wait than may, first come first served; no place is ever lost."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function.admission import REFUSALS_PER_SECOND, Admission, Deadline
from function.errors import ClientLeft, DeadlineExceeded, QueueFull

LONG = 60.0


def stays() -> bool:
    return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@dataclass
class Visitor:
    """A thread that comes in and stays until it is told to go."""

    admission: Admission
    seconds: float = LONG
    has_left: Callable[[], bool] = stays
    inside: threading.Event = field(default_factory=threading.Event)
    may_go: threading.Event = field(default_factory=threading.Event)

    def visit(self) -> None:
        with self.admission.admit(Deadline.after(self.seconds), self.has_left):
            self.inside.set()
            assert self.may_go.wait(30)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(16) as pool:
        yield pool


def come(pool: ThreadPoolExecutor, visitor: Visitor) -> "Future[None]":
    """Let it come, and return once it is inside or waits."""
    before = visitor.admission.running + visitor.admission.queued
    visit = pool.submit(visitor.visit)
    wait_until(lambda: visitor.admission.running + visitor.admission.queued > before)
    return visit


def test_turns_come_in_order_of_arrival(pool: ThreadPoolExecutor) -> None:
    admission = Admission(max_running=1, max_queued=5)
    visitors = [Visitor(admission) for _ in range(6)]
    visits = [come(pool, visitor) for visitor in visitors]
    for number, visitor in enumerate(visitors):
        assert visitor.inside.wait(30)
        assert not any(later.inside.is_set() for later in visitors[number + 1 :])
        visitor.may_go.set()
    for visit in visits:
        visit.result()
    assert (admission.running, admission.queued) == (0, 0)


def test_who_finds_no_place_is_told_when_to_come_back(pool: ThreadPoolExecutor) -> None:
    admission = Admission(max_running=1, max_queued=1)
    visitors = [Visitor(admission), Visitor(admission)]
    visits = [come(pool, visitor) for visitor in visitors]
    for refused in (
        admission.check_room,
        admission.admit(Deadline.after(LONG), stays).__enter__,
    ):
        with pytest.raises(QueueFull) as caught:
            refused()
        assert caught.value.http_status == 429
        assert caught.value.status == "RESOURCE_EXHAUSTED"
        assert caught.value.retry_after_seconds == 1
    for visitor, visit in zip(visitors, visits, strict=True):
        visitor.may_go.set()
        visit.result()
    admission.check_room()


def test_when_to_come_back_follows_from_how_long_a_search_takes(pool: ThreadPoolExecutor) -> None:
    admission = Admission(max_running=1, max_queued=3)
    with admission.admit(Deadline.after(LONG), stays):
        time.sleep(0.6)
    visitors = [Visitor(admission) for _ in range(4)]
    visits = [come(pool, visitor) for visitor in visitors]
    with pytest.raises(QueueFull) as caught:
        admission.check_room()
    # Four of at least 0.6 s each.
    assert (caught.value.retry_after_seconds or 0) >= 3
    for visitor, visit in zip(visitors, visits, strict=True):
        visitor.may_go.set()
        visit.result()


def test_refusals_are_paced(pool: ThreadPoolExecutor) -> None:
    admission = Admission(max_running=1, max_queued=0)
    visitor = Visitor(admission)
    visit = come(pool, visitor)
    start = time.monotonic()
    refusals = [pool.submit(admission.check_room) for _ in range(11)]
    assert all(isinstance(refusal.exception(), QueueFull) for refusal in refusals)
    assert time.monotonic() - start >= 10 / REFUSALS_PER_SECOND
    visitor.may_go.set()
    visit.result()


def test_a_deadline_ends_the_wait_and_frees_the_place(pool: ThreadPoolExecutor) -> None:
    admission = Admission(max_running=1, max_queued=1)
    first = Visitor(admission)
    visit = come(pool, first)
    with pytest.raises(DeadlineExceeded) as caught:
        Visitor(admission, seconds=0.01).visit()
    assert (caught.value.http_status, caught.value.metadata) == (504, {"limit": "0.01"})
    assert (admission.running, admission.queued) == (1, 0)
    first.may_go.set()
    visit.result()


def test_a_client_that_leaves_frees_its_place_while_others_go_on(pool: ThreadPoolExecutor) -> None:
    admission = Admission(max_running=1, max_queued=2)
    gone = threading.Event()
    first = Visitor(admission)
    leaving = Visitor(admission, has_left=gone.is_set)
    last = Visitor(admission)
    visits = [come(pool, visitor) for visitor in (first, leaving, last)]
    gone.set()
    with pytest.raises(ClientLeft):
        visits[1].result(30)
    assert (admission.running, admission.queued) == (1, 1)
    first.may_go.set()
    assert last.inside.wait(30)
    assert not leaving.inside.is_set()
    last.may_go.set()
    visits[2].result()


def test_a_turn_that_comes_to_a_client_that_left_is_passed_on(pool: ThreadPoolExecutor) -> None:
    admission = Admission(max_running=1, max_queued=0)
    with pytest.raises(ClientLeft):
        Visitor(admission, has_left=lambda: True).visit()
    assert (admission.running, admission.queued) == (0, 0)


def test_a_failure_inside_frees_the_place() -> None:
    admission = Admission(max_running=1, max_queued=0)
    with pytest.raises(ZeroDivisionError), admission.admit(Deadline.after(LONG), stays):
        _ = 1 / 0
    assert admission.running == 0


@given(
    fates=st.lists(st.sampled_from(["work", "fail", "leave", "late"]), min_size=1, max_size=24),
    max_running=st.integers(1, 3),
    max_queued=st.integers(0, 6),
)
@settings(max_examples=40, deadline=None)
def test_whatever_becomes_of_each_no_place_is_lost(
    fates: list[str], max_running: int, max_queued: int
) -> None:
    admission = Admission(max_running=max_running, max_queued=max_queued)
    counting = threading.Lock()
    inside: set[int] = set()
    most = 0

    def visit(number: int, fate: str) -> None:
        nonlocal most
        deadline = Deadline.after(0.001 if fate == "late" else LONG)
        with admission.admit(deadline, lambda: fate == "leave"):
            with counting:
                inside.add(number)
                most = max(most, len(inside))
            time.sleep(0.0005)
            with counting:
                inside.remove(number)
            if fate == "fail":
                raise ZeroDivisionError

    with ThreadPoolExecutor(len(fates)) as pool:
        visits = [pool.submit(visit, *item) for item in enumerate(fates)]
    assert most <= max_running
    assert (admission.running, admission.queued) == (0, 0)
    possible = {
        "work": (type(None),),
        "fail": (ZeroDivisionError,),
        "leave": (ClientLeft,),
        "late": (type(None), DeadlineExceeded),
    }
    for fate, visited in zip(fates, visits, strict=True):
        assert isinstance(visited.exception(), (*possible[fate], QueueFull))
    # All places are there still.
    everyone = [Visitor(admission) for _ in range(max_running + max_queued)]
    with ThreadPoolExecutor(len(everyone)) as pool:
        visits = [come(pool, visitor) for visitor in everyone]
        with suppress(QueueFull):
            admission.check_room()
            pytest.fail("there was one place more than there may be")
        for visitor in everyone:
            visitor.may_go.set()
    assert all(visited.exception() is None for visited in visits)
