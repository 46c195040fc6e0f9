import time
from itertools import count

import pytest

from trainer.training.clock import Clock


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test moves on by itself."""
    moment = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    return moment


def test_a_lap_tells_speed_and_waits_since_the_last(now: list[float]) -> None:
    clock = Clock(photos_per_step=8)
    now[0] += 50  # compiles
    clock.tick()
    assert clock.lap() == {}
    for _ in range(4):
        with clock.waiting_for("input"):
            now[0] += 0.5
        with clock.waiting_for("device"):
            now[0] += 1.5
        clock.tick()
    assert clock.lap() == {
        "steps_per_second": pytest.approx(0.5),
        "photos_per_second": pytest.approx(4.0),
        "input_wait": pytest.approx(0.25),
        "device_wait": pytest.approx(0.75),
    }
    assert clock.lap() == {}
    assert clock.photos_per_second == pytest.approx(4.0)
    assert clock.seconds == pytest.approx(58)


def test_there_is_no_speed_before_two_steps_have_ended(now: list[float]) -> None:
    clock = Clock(photos_per_step=8)
    for steps in range(2):
        assert clock.photos_per_second is None, steps
        assert clock.lap() == {}
        now[0] += 4
        clock.tick()
    assert clock.photos_per_second == pytest.approx(2.0)


def test_waiting_for_batches_is_counted_and_all_come(now: list[float]) -> None:
    clock = Clock(photos_per_step=1)
    clock.tick()

    def slow():
        for number in range(3):
            now[0] += 2
            yield number

    got = []
    for number in clock.inputs(slow()):
        got.append(number)
        now[0] += 1
        clock.tick()
    assert got == [0, 1, 2]
    assert clock.lap()["input_wait"] == pytest.approx(2 / 3)


def test_leaving_the_loop_closes_the_batches() -> None:
    closed = []

    def batches():
        try:
            yield from count()
        finally:
            closed.append(True)

    inputs = Clock(1).inputs(batches())
    next(inputs)
    inputs.close()
    assert closed == [True]
