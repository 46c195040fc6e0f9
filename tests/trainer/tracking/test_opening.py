import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from function.storage import StorageError, open_storage
from trainer.errors import LookalikeError
from trainer.tracking import Tracker, TrackerName, Trackers, open_trackers, read_curves


class Broken(Tracker):
    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        raise AssertionError

    def publish(self) -> None:
        raise AssertionError

    def close(self, *, failed: bool) -> None:
        raise StorageError("cannot be reached")


class Closed(Tracker):
    failed: bool | None = None

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        raise AssertionError

    def publish(self) -> None:
        raise AssertionError

    def close(self, *, failed: bool) -> None:
        self.failed = failed


def test_each_point_goes_to_tensorboard_and_to_the_file(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    with open_trackers(["tensorboard"], storage, config={}, start_step=1) as tracker:
        tracker.write(1, {"loss": 0.5})
        tracker.publish()
        assert read_curves(storage) == [{"step": 1, "loss": 0.5}]
        tracker.write(2, {"loss": 0.25})
    (early, late) = EventAccumulator(str(tmp_path / "logs")).Reload().Scalars("loss")
    assert [(p.step, p.value) for p in (early, late)] == [(1, 0.5), (2, 0.25)]
    assert [point["loss"] for point in read_curves(storage)] == [0.5, 0.25]


def test_without_a_named_tracker_the_file_alone_is_written(tmp_path: Path) -> None:
    with open_trackers([], open_storage(tmp_path), config={}, start_step=1) as tracker:
        tracker.write(1, {"loss": 0.5})
    assert open_storage(tmp_path).list() == ["curves.jsonl"]


@pytest.mark.parametrize(("name", "package"), [("wandb", "wandb"), ("mlflow", "mlflow.tracking")])
def test_a_package_that_is_not_installed_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: TrackerName, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # type: ignore[arg-type]
    with pytest.raises(LookalikeError, match=f'make setup EXTRAS="{name}"'):
        open_trackers([name], open_storage(tmp_path), config={}, start_step=1)


def test_a_tracker_that_cannot_close_keeps_no_other_from_closing() -> None:
    first, last = Closed(), Closed()
    with (
        pytest.raises(StorageError, match="cannot be reached"),
        Trackers([first, Broken(), last]),
    ):
        pass
    assert (first.failed, last.failed) == (False, False)
