import threading
import time
from collections.abc import Mapping

import pytest

from trainer.tracking import Tracker
from trainer.tracking.background import Background

SECONDS_OF_A_TEST = 20


class Recorder(Tracker):
    """Keeps what it is told; waits, or fails, where a test says so."""

    def __init__(
        self, *, fail_at: int = -1, wait: threading.Event | None = None, seconds: float = 0.0
    ) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.closed = threading.Event()
        self._fail_at = fail_at
        self._wait = wait
        self._seconds = seconds

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        if self._wait is not None:
            self._wait.wait(SECONDS_OF_A_TEST)
        time.sleep(self._seconds)
        if step == self._fail_at:
            raise ConnectionError("[red] no route to host\nTraceback of the server")
        self.calls.append((step, dict(scalars)))

    def publish(self) -> None:
        self.calls.append(("publish",))

    def close(self, *, failed: bool) -> None:
        self.calls.append(("close", failed))
        self.closed.set()


def test_calls_arrive_in_their_order_with_the_values_of_their_time() -> None:
    recorder, scalars = Recorder(), {"loss": 1.0}
    with Background("Far away", lambda: recorder) as tracker:
        tracker.write(1, scalars)
        scalars["loss"] = 2.0
        tracker.publish()
        tracker.write(2, scalars)
    assert recorder.calls == [
        (1, {"loss": 1.0}),
        ("publish",),
        (2, {"loss": 2.0}),
        ("close", False),
    ]


def test_a_failing_point_is_said_once_and_later_ones_arrive(
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorder = Recorder(fail_at=2)
    with Background("Far away", lambda: recorder) as tracker:
        for step in (1, 2, 2, 3):
            tracker.write(step, {})
    assert recorder.calls == [(1, {}), (3, {}), ("close", False)]
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "! Far away: ConnectionError: [red] no route to host. Training goes on; points may be "
        "missing there. The run's curves.jsonl has them all.\n"
    )


def test_a_tracker_that_cannot_be_opened_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> Tracker:
        raise TimeoutError("no answer")

    with Background("Far away", refuse, points_held=2) as tracker:
        for step in range(5):
            tracker.write(step, {})
    assert capsys.readouterr().err.count("Far away: TimeoutError: no answer.") == 1


def test_a_tracker_that_hangs_delays_neither_a_point_nor_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    released = threading.Event()
    begun = time.monotonic()
    with Background(
        "Far away", lambda: Recorder(wait=released), closing_seconds=0.05, points_held=10
    ) as tracker:
        for step in range(100):
            tracker.write(step, {})
    assert time.monotonic() - begun < SECONDS_OF_A_TEST / 2
    assert capsys.readouterr().err.count("Far away: it is 10 points behind.") == 1
    released.set()


def test_a_tracker_that_is_full_of_points_is_closed_all_the_same() -> None:
    released = threading.Event()
    recorder = Recorder(wait=released)
    with Background("Far away", lambda: recorder, closing_seconds=0.05, points_held=2) as tracker:
        for step in range(10):
            tracker.write(step, {})
    released.set()
    assert recorder.closed.wait(SECONDS_OF_A_TEST)
    assert recorder.calls[-1] == ("close", False)


def test_points_that_a_slow_tracker_still_waits_for_give_way_to_its_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorder = Recorder(seconds=0.05)
    with Background("Far away", lambda: recorder, closing_seconds=1.0) as tracker:
        for step in range(1000):
            tracker.write(step, {})
    assert recorder.closed.wait(SECONDS_OF_A_TEST)
    assert recorder.calls[0] == (0, {})
    assert recorder.calls[-1] == ("close", False)
    assert "Far away: it is too slow for the points that waited" in capsys.readouterr().err


def test_a_tracker_that_is_slow_to_end_is_left_behind(capsys: pytest.CaptureFixture[str]) -> None:
    released = threading.Event()
    with Background("Far away", lambda: Recorder(wait=released), closing_seconds=0.05) as tracker:
        tracker.write(1, {})
    assert "Far away: it did not answer for 0.05 s." in capsys.readouterr().err
    released.set()


def test_training_that_failed_is_told() -> None:
    recorder = Recorder()
    with pytest.raises(ArithmeticError), Background("Far away", lambda: recorder):
        raise ArithmeticError
    assert recorder.calls == [("close", True)]
