"""Which steps a trace holds: the host runs ahead of the device."""

from collections.abc import Callable, Iterable
from pathlib import Path

import jax
import pytest

from function.storage import open_storage
from trainer.training.profiling import profiler


class Running:
    """What a step gives, before it is there."""

    def __init__(self, step: int, seen: list[str]) -> None:
        self._step, self._seen = step, seen

    def block_until_ready(self) -> None:
        self._seen.append(f"{self._step} done")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is waited for, and when the trace begins and ends."""
    events: list[str] = []
    told: dict[str, Callable[..., None]] = {
        "start_trace": lambda folder, **_: events.append("start"),
        "stop_trace": lambda: events.append("stop"),
    }
    for name, note in told.items():
        monkeypatch.setattr(jax.profiler, name, note)
    return events


def train(steps: Iterable[int], folder: Path, seen: list[str]) -> None:
    running = None
    with profiler(open_storage(folder), start_step=3) as trace:
        for step in steps:
            trace(step, running)
            running = Running(step, seen)


def test_steps_before_the_trace_are_done_when_it_starts_and_its_own_when_it_stops(
    tmp_path: Path, seen: list[str]
) -> None:
    train(range(3, 30), tmp_path, seen)
    assert seen == ["12 done", "start", "17 done", "stop"]


def test_a_training_that_ends_within_the_trace_stops_it(tmp_path: Path, seen: list[str]) -> None:
    train(range(3, 16), tmp_path, seen)
    assert seen == ["12 done", "start", "stop"]


def test_a_training_that_is_too_short_has_no_trace(tmp_path: Path, seen: list[str]) -> None:
    train(range(3, 13), tmp_path, seen)
    assert seen == []
