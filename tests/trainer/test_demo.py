"""The main job, as `make demo` runs it, to the release and back."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from function.release import read_manifest
from function.storage import open_storage

# What training must gain on unseen products over a histogram and over the untrained network.
GAIN = 0.10


def demo(root: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "trainer", "demo", "--no-serve", "--json", "--root", str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def outcome(root: Path) -> Any:
    return demo(root)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("task", ["query_to_catalog", "leave_one_out"])
def test_training_beats_histogram_and_untrained_network_on_unseen_products(
    outcome: Any, task: str
) -> None:
    recall = {name: found[task]["recall_at_1"] for name, found in outcome["results"].items()}
    assert recall["trained"] >= recall["colour_histogram"] + GAIN, recall
    assert recall["trained"] >= recall["untrained_network"] + GAIN, recall


def test_the_demos_scores_are_calibrated(outcome: Any, root: Path) -> None:
    calibration = read_manifest(open_storage(root), outcome["release_id"]).calibration
    assert calibration is not None
    assert calibration.products == 79
    assert calibration.expected_calibration_error < 0.1
    assert 0 < calibration.false_match_rate < 0.1


def test_the_same_demo_again_repeats_nothing(outcome: Any, root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    assert demo(root) == outcome
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_demo_cut_off_after_training_goes_on_from_there(outcome: Any, root: Path) -> None:
    (root / "demo.json").unlink()
    (root / "current.json").unlink()
    (run,) = (root / "runs").iterdir()
    checkpoint = run / "checkpoints"
    before = sorted(path.name for path in checkpoint.iterdir())
    again = demo(root)
    assert again["results"] == outcome["results"]
    assert sorted(path.name for path in checkpoint.iterdir()) == before
