"""Checkpoints that were damaged: never read as if they were whole, and passed over by training."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.training.arrays import everything
from trainer.data.records import Catalog
from trainer.errors import DamagedCheckpoint
from trainer.training.experiment import Experiment
from trainer.training.loop import train
from trainer.training.run import Run

Start = Callable[[str, Experiment], "subprocess.Popen[str]"]


def flipped(data: bytes) -> bytes:
    """One bit of the middle is another."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :] if data else b"x"


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a bit is another": flipped,
    "cut in half": lambda data: data[: len(data) // 2],
    "zeros": lambda data: bytes(len(data)),
    "empty": lambda data: b"",
}

# In a process of its own: of a read that failed, Orbax leaves the others to end after their event
# loop, which prints. Damages each file in turn, and prints what reading then found.
READ = """
import json, sys
import numpy as np
from tests.trainer.training.arrays import everything
from tests.trainer.training.test_checkpoint import DAMAGE, files, same
from pathlib import Path
from trainer.errors import DamagedCheckpoint
from trainer.training.experiment import Experiment
run, asked = Path(sys.argv[1]), Experiment.from_dict(json.loads(sys.argv[2]))
expected, found = everything(str(run), asked, step=8), []
for path in files(run, 8):
    data = path.read_bytes()
    if sys.argv[3] == "gone":
        path.unlink()
    else:
        path.write_bytes(DAMAGE[sys.argv[3]](data))
    try:
        found.append(same(everything(str(run), asked, step=8), expected))
    except DamagedCheckpoint:
        found.append(None)
    path.write_bytes(data)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def asked() -> Experiment:
    """Trains only the head: with proxies and an average, so that all items are there."""
    return Experiment(
        architecture="resnet18",
        width=4,
        embedding_dim=16,
        image_size=32,
        steps=8,
        holdout=0.34,
        products_per_batch=4,
        photos_per_product=3,
        warmup_steps=2,
        frozen_stages=4,
        batch_norm="frozen",
        loss="arcface",
        average_decay=0.9,
        checkpoint_every=4,
        log_every=2,
    )


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, catalog: Catalog, asked: Experiment) -> Path:
    """A run that nothing befell, with checkpoints 4 and 8."""
    run = tmp_path_factory.mktemp("straight") / "run"
    train(catalog, str(run), asked)
    return run


@pytest.fixture
def run(straight: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(straight, tmp_path / "run")


def files(run: Path, step: int) -> list[Path]:
    """Largest first: those hold the arrays."""
    found = [path for path in (run / f"checkpoints/{step}").rglob("*") if path.is_file()]
    return sorted(found, key=lambda path: -path.stat().st_size)


def damage(run: Path, step: int) -> bytes:
    """Change one bit of the arrays; return what is in the file then."""
    largest = next(path for path in files(run, step) if "ocdbt.process_0/d" in str(path))
    largest.write_bytes(flipped(largest.read_bytes()))
    return largest.read_bytes()


def trained_on(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Its exit status and what it told, without line breaks."""
    assert process.stderr is not None
    told = " ".join(process.stderr.read().split())
    return process.wait(), told


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(array, second[name]) for name, array in first.items()
    )


def test_training_goes_on_from_the_checkpoint_before_a_damaged_one_and_says_so(
    run: Path, straight: Path, asked: Experiment, start_training: Start
) -> None:
    damaged = damage(run, 8)
    status, told = trained_on(start_training(str(run), asked))
    assert status == 0, told
    assert f"Checkpoint 8 of {run} is damaged" in told
    assert "Going on from step 4" in told
    assert same(everything(str(run), asked), everything(str(straight), asked))
    kept = [path for path in (run / "damaged_checkpoints/8").rglob("*") if path.is_file()]
    assert damaged in {path.read_bytes() for path in kept}


def test_other_numbers_than_were_saved_are_never_evaluated_or_published(run: Path) -> None:
    # Well-formed files, which Orbax reads without a word: another checkpoint's.
    shutil.rmtree(run / "checkpoints/8/average")
    shutil.copytree(run / "checkpoints/4/average", run / "checkpoints/8/average")
    with pytest.raises(DamagedCheckpoint, match=r"8 .* average: other numbers .*\n.*same command"):
        Run(str(run)).load()


@pytest.mark.slow
def test_where_none_can_be_read_nothing_is_moved_or_begun_anew(
    run: Path, asked: Experiment, start_training: Start
) -> None:
    damage(run, 4)
    damage(run, 8)
    before = [(path, path.read_bytes()) for step in (4, 8) for path in files(run, step)]
    status, told = trained_on(start_training(str(run), asked))
    assert status == 1
    assert re.search(r"Checkpoint 8 .* Checkpoint 4 .* None is left to go on from", told), told
    assert before == [(path, path.read_bytes()) for step in (4, 8) for path in files(run, step)]
    assert not (run / "damaged_checkpoints").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*DAMAGE, "gone"])
def test_no_damage_to_any_file_is_read_as_other_numbers(
    kind: str, run: Path, asked: Experiment
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ, str(run), json.dumps(asked.to_dict()), kind],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert False not in found
    assert found.count(None) >= 5
