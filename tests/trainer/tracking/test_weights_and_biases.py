import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb
from wandb.proto import wandb_internal_pb2

from function.storage import open_storage
from trainer.errors import LookalikeError
from trainer.tracking import open_trackers

CONFIG = {"steps": 20, "augmentation": {"flip": 0.5}}


@pytest.fixture(autouse=True)
def _offline(offline: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb.teardown()  # what an earlier test left reads the environment anew
    yield
    wandb.teardown()


def records(file: Path) -> Iterator[wandb_internal_pb2.Record]:
    """What a transaction log of W&B holds: LevelDB's log format after a header of 7 bytes.

    A block has 32 KiB; a piece is CRC, length and kind (whole, first, middle or last), then data.
    """
    log = file.read_bytes()
    at, data = 7, b""
    while at < len(log):
        if (left := -at % 32768) and left < 7:
            at += left
        _, length, kind = struct.unpack_from("<IHB", log, at)
        data += log[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            yield record
            data = b""


def logged(file: Path) -> list[tuple[int, float]]:
    points = []
    for record in records(file):
        if record.WhichOneof("record_type") == "history":
            values = {
                i.key or i.nested_key[0]: json.loads(i.value_json) for i in record.history.item
            }
            points.append((values["_step"], values["loss"]))
    return points


def transaction_logs(run: Path) -> list[Path]:
    """The logs that lie in a run, once W&B's process has ended, as it does after training."""
    wandb.teardown()
    return sorted(run.glob("wandb/offline-run-*/run-*.wandb"))


def test_offline_the_points_and_what_is_trained_lie_in_the_run(tmp_path: Path) -> None:
    run = tmp_path / "first"
    with open_trackers(["wandb"], open_storage(run), config=CONFIG, start_step=1) as tracker:
        for step in (10, 20):
            tracker.write(step, {"loss": 1 / step})
        tracker.publish()
    (file,) = transaction_logs(run)
    assert logged(file) == [(10, 0.1), (20, 0.05)]
    (begun,) = (r.run for r in records(file) if r.WhichOneof("record_type") == "run")
    config = {item.key: json.loads(item.value_json) for item in begun.config.update}
    assert config.items() >= CONFIG.items()
    assert (begun.project, begun.display_name) == ("lookalike", "first")


def test_a_resumed_run_is_the_same_run_of_wandb_even_where_it_was_moved(tmp_path: Path) -> None:
    for folder in (tmp_path / "first", tmp_path / "moved"):
        with open_trackers(["wandb"], open_storage(folder), config=CONFIG, start_step=1) as tracker:
            tracker.write(10, {"loss": 1.0})
        if folder.name == "first":
            folder.rename(tmp_path / "moved")
    identity = json.loads((tmp_path / "moved" / "wandb.json").read_text())["id"]
    assert identity.startswith("first-")
    assert {file.name for file in transaction_logs(tmp_path / "moved")} == {f"run-{identity}.wandb"}


def test_without_an_account_training_is_refused_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(LookalikeError, match="WANDB_MODE=offline"):
        open_trackers(["wandb"], open_storage(tmp_path / "run"), config={}, start_step=1)
    assert not (tmp_path / "run").exists()
