from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from function.storage import open_storage
from trainer.tracking.tensorboard import TensorBoard


def points(folder: Path) -> list[tuple[int, float]]:
    return [(p.step, p.value) for p in EventAccumulator(str(folder)).Reload().Scalars("loss")]


def test_points_after_the_checkpoint_that_training_went_on_from_are_hidden(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    with TensorBoard(storage, start_step=0) as tracker:
        for step in (1, 2, 3):
            tracker.write(step, {"loss": float(step)})
    with TensorBoard(storage, start_step=3) as tracker:
        tracker.write(3, {"loss": 30.0})
    assert points(tmp_path) == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_a_bucket_gets_the_curves_when_they_are_published(
    tmp_path: Path, gcs_emulator: str
) -> None:
    storage = open_storage(f"{gcs_emulator}/logs")
    with TensorBoard(storage, start_step=0) as tracker:
        tracker.write(1, {"loss": 1.0})
        tracker.publish()
        (name,) = storage.list()
        storage.download(name, tmp_path / "early" / name)
        tracker.write(2, {"loss": 2.0})
    storage.download(name, tmp_path / "late" / name)
    assert points(tmp_path / "early") == [(1, 1.0)]
    assert points(tmp_path / "late") == [(1, 1.0), (2, 2.0)]
