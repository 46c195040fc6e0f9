"""Training killed again and again, at any moment: it goes on and ends with the same bits."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.training.arrays import everything
from trainer.training.experiment import Experiment

KILLS = 50


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_kills_at_random_moments_change_no_bit(
    tmp_path: Path,
    head_only: Callable[..., Experiment],
    start_training: Callable[[str, Experiment], "subprocess.Popen[str]"],
) -> None:
    asked = head_only(steps=200, checkpoint_every=3, average_decay=0.9, memory_size=24)
    straight = str(tmp_path / "straight")
    for turn in range(2):
        # The second one finds its programs compiled, as those that are killed do.
        started = time.monotonic()
        assert start_training(str(tmp_path / f"warm-{turn}"), asked).wait() == 0
        whole = time.monotonic() - started
    (tmp_path / "warm-1").rename(straight)
    expected = everything(straight, asked)

    seed = time.time_ns()
    moments, kills, runs = np.random.default_rng(seed), 0, 0
    while kills < KILLS:
        url, runs = str(tmp_path / f"run-{runs}"), runs + 1
        while True:
            process = start_training(url, asked)
            try:
                process.wait(timeout=moments.uniform(0, whole) if kills < KILLS else None)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
                continue
            assert process.returncode == 0, (seed, process.communicate()[1])
            break
        found = everything(url, asked)
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, f"{name}, seed {seed}")
    print(f"{kills} kills in {runs} runs of {whole:.0f} s, seed {seed}")
