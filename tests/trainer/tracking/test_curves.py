import json
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function.storage import open_storage
from trainer.tracking import CURVES, read_curves
from trainer.tracking.curves import CurvesFile

STEPS = 12


def train(folder: Path, first: int, last: int, *, published: int) -> None:
    """Write each step from `first` on, publish after `published`, and be killed after `last`."""
    tracker = CurvesFile(open_storage(folder), start_step=first)
    for step in range(first, last + 1):
        tracker.write(step, {"loss": 1 / step, "Ähnlichkeit\u2028": float(step)})
        if step == published:
            tracker.publish()


@settings(max_examples=25)
@given(st.data())
def test_the_file_of_an_interrupted_training_is_that_of_an_uninterrupted_one(
    data: st.DataObject,
) -> None:
    # The last checkpoint is saved after its points were published, or not saved at all.
    published = data.draw(st.integers(1, STEPS - 1))
    checkpoint = data.draw(st.integers(0, published))
    killed = data.draw(st.integers(published, STEPS))
    with tempfile.TemporaryDirectory() as name:
        straight, interrupted = Path(name, "straight"), Path(name, "interrupted")
        train(straight, 1, STEPS, published=STEPS)
        train(interrupted, 1, killed, published=published)
        train(interrupted, checkpoint + 1, STEPS, published=STEPS)
        assert (interrupted / CURVES).read_bytes() == (straight / CURVES).read_bytes()


def test_points_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    assert read_curves(storage) == []
    with CurvesFile(storage, start_step=0) as tracker:
        tracker.write(10, {"loss": 0.1})
        tracker.write(20, {"loss": 1 / 3, "rate": 2.0})
    assert read_curves(storage) == [
        {"step": 10, "loss": 0.1},
        {"step": 20, "loss": 1 / 3, "rate": 2.0},
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_leaves_valid_json(tmp_path: Path, value: float) -> None:
    with CurvesFile(open_storage(tmp_path), start_step=0) as tracker:
        tracker.write(1, {"loss": value})
    (line,) = (tmp_path / CURVES).read_text().splitlines()
    assert json.loads(line, parse_constant=pytest.fail) == {"step": 1, "loss": None}


def test_points_that_are_not_yet_published_leave_the_file_as_it_is(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    train(tmp_path, 1, 4, published=4)
    before = (tmp_path / CURVES).read_bytes()
    tracker = CurvesFile(storage, start_step=2)
    tracker.write(2, {"loss": 0.0})
    assert (tmp_path / CURVES).read_bytes() == before


def test_points_written_before_training_failed_are_kept(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)

    def fail_after_a_point() -> None:
        with CurvesFile(storage, start_step=0) as tracker:
            tracker.write(1, {"loss": 2.0})
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail_after_a_point()
    assert read_curves(storage) == [{"step": 1, "loss": 2.0}]


def test_a_bucket_holds_the_file_too(gcs_emulator: str) -> None:
    storage = open_storage(f"{gcs_emulator}/runs/first")
    for start in (1, 2):
        with CurvesFile(storage, start_step=start) as tracker:
            for step in range(start, 4):
                tracker.write(step, {"loss": float(10 * start + step)})
    assert [point["loss"] for point in read_curves(storage)] == [11, 22, 23]
