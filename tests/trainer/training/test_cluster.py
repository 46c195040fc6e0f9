"""Two real processes that train one network, over the loopback address, and what befalls them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from function.storage import open_storage
from tests.ports import free_port
from tests.trainer.training.hosts import environment_of
from trainer.data.catalog import open_catalog
from trainer.model.parameters import to_flat
from trainer.tracking import read_curves
from trainer.training.experiment import Experiment
from trainer.training.loop import train
from trainer.training.run import Run

STEPS = 30
OPTIONS = {
    "architecture": "resnet18",
    "width": 4,
    "embedding_dim": 16,
    "image_size": 32,
    "steps": STEPS,
    "holdout": 0.34,
    "products_per_batch": 4,
    "photos_per_product": 4,
    "learning_rate": 1e-3,
    "warmup_steps": 2,
    "frozen_stages": 3,
    "checkpoint_every": 5,
    "log_every": 1,
    "memory_size": 24,
    "memory_warmup_steps": 3,
    "average_decay": 0.9,
}


class Pair:
    """Two processes of `lookalike train` on one run, each with two virtual devices."""

    def __init__(self, shop: Path, run: str, compiled_programs: Path) -> None:
        address = f"127.0.0.1:{free_port()}"
        options = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
        command = [
            *(sys.executable, "-m", "trainer", "train", "--catalog", str(shop), "--run", run),
            *("--distributed", "on", "--restarts", "5", "--json", *options),
        ]
        self.run = run
        self.processes = [
            subprocess.Popen(
                command,
                env={
                    **environment_of(index, address),
                    "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
                    "JAX_COMPILATION_CACHE_DIR": str(compiled_programs),
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for index in range(2)
        ]

    def wait_for_checkpoint(self) -> None:
        """Until one is complete."""
        storage = open_storage(self.run)
        complete = re.compile(r"checkpoints/\d+/commit_success.txt")
        while not any(complete.fullmatch(name) for name in storage.list()):
            assert all(process.poll() is None for process in self.processes)
            time.sleep(0.05)

    def trainers(self) -> list[int]:
        """The processes that train, below those that watch them."""
        found = []
        for process in self.processes:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            found += [int(child) for child in children.split()]
        return found

    def finish(self) -> list[tuple[int, str, str]]:
        """Status, stdout and stderr of both."""
        found = []
        for process in self.processes:
            out, err = process.communicate(timeout=240)
            found.append((process.returncode, out, err))
        return found


@pytest.fixture
def pair(shop: Path, tmp_path: Path, compiled_programs: Path) -> Iterator[Callable[[str], Pair]]:
    """Starts two processes on the run of this name."""
    pairs: list[Pair] = []

    def start(name: str) -> Pair:
        pairs.append(Pair(shop, str(tmp_path / name), compiled_programs))
        return pairs[-1]

    yield start
    for each in pairs:
        for process in each.processes:
            process.kill()
            process.communicate()


def arrays(run: str) -> dict[str, np.ndarray]:
    return {name: np.asarray(array) for name, array in to_flat(Run(run).load()[0]).items()}


# Four trainings, of which each may wait for two others' compilers.
@pytest.mark.timeout(900)
@pytest.mark.slow
def test_two_processes_learn_what_one_learns_and_a_killed_one_changes_nothing(
    pair: Callable[[str], Pair], shop: Path, tmp_path: Path
) -> None:
    together = pair("together")
    results = together.finish()
    assert [status for status, _, _ in results] == [0, 0], results
    # One of them tells, and stdout holds nothing else, whatever native libraries print.
    assert json.loads(results[0][1])["steps"] == STEPS
    assert results[1][1] == ""

    alone = str(tmp_path / "alone")
    train(open_catalog(shop), alone, Experiment(**OPTIONS))
    losses = [
        [point["loss"] for point in read_curves(open_storage(run))] for run in (together.run, alone)
    ]
    assert len(losses[0]) == STEPS
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.02)
    for name, expected in arrays(alone).items():
        scale = np.abs(expected).max()
        assert np.abs(arrays(together.run)[name] - expected).max() <= 0.02 * scale, name

    killed = pair("killed")
    killed.wait_for_checkpoint()
    # The harder one to lose: the first is where the others meet, and it writes for all.
    os.kill(killed.trainers()[0], signal.SIGKILL)
    results = killed.finish()
    assert [status for status, _, _ in results] == [0, 0], results
    assert "started again from its last checkpoint" in results[0][2].replace("\n", " ")
    assert json.loads(results[0][1])["resumed_from"] > 0
    expected = arrays(together.run)
    assert all(np.array_equal(array, expected[name]) for name, array in arrays(killed.run).items())


@pytest.mark.timeout(900)
def test_where_one_process_is_told_to_leave_all_save_the_same_step(
    pair: Callable[[str], Pair],
) -> None:
    stopped = pair("stopped")
    stopped.wait_for_checkpoint()
    begin = time.monotonic()
    # As a machine that is about to be taken away tells its own processes alone.
    os.kill(stopped.trainers()[1], signal.SIGTERM)
    results = stopped.finish()
    assert time.monotonic() - begin < 30
    assert [status for status, _, _ in results] == [1, 1], results
    step = Run(stopped.run).load()[1]
    assert 0 < step < STEPS
    assert f"SIGTERM stopped training after step {step} of" in results[1][2].replace("\n", " ")
    assert f"Another process stopped training after step {step}" in results[0][2].replace("\n", " ")


def connected(mode: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """In a process of its own: joining comes before anything else that JAX does."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
    }
    code = (
        "import sys; from trainer.errors import TrainingError\n"
        "from trainer.training.distributed import connect, share\n"
        f"try:\n    connect({mode!r}); print(share())\n"
        "except TrainingError as error:\n    sys.exit(str(error))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code], env=environment | variables, capture_output=True, text=True
    )


def test_a_cluster_that_must_be_there_and_is_not_is_named() -> None:
    found = connected("on")
    assert found.returncode == 1
    assert "JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES" in found.stderr


def test_a_machine_of_no_cluster_trains_alone() -> None:
    assert connected("auto").stdout == "(0, 1)\n"


def test_a_machine_that_is_told_to_train_alone_does_whatever_cluster_it_is_of() -> None:
    variables = {
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{free_port()}",
        "JAX_NUM_PROCESSES": "2",
        "JAX_PROCESS_ID": "1",
    }
    assert connected("off", **variables).stdout == "(0, 1)\n"


def test_an_index_that_is_no_number_is_named() -> None:
    found = connected("auto", JAX_PROCESS_ID="first")
    assert "JAX_PROCESS_ID: expected a number; found 'first'" in found.stderr


# The first process passes its part, refuses it, and fails in it; each tells what became of it.
MEETING = """
import json, sys
from trainer.errors import CatalogError
from trainer.training.distributed import connect, is_primary, primary_first
connect("on")
for what, error in (
    ("warm-up", None),
    ("split", CatalogError("row 7: no such photo — Größe")),
    ("log", OSError("no space left")),
):
    ran, found = False, None
    try:
        with primary_first(what):
            ran = True
            if is_primary() and error:
                raise error
    except Exception as caught:
        found = [type(caught).__name__, str(caught)]
    print(json.dumps([ran, found]))
"""


def test_what_fails_in_the_first_process_fails_in_the_others_at_once_and_in_its_words() -> None:
    address = f"127.0.0.1:{free_port()}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MEETING],
            env=environment_of(index, address),
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    try:
        first, other = (process.communicate(timeout=120)[0] for process in processes)
    finally:
        for process in processes:
            process.kill()
    assert [json.loads(line) for line in first.splitlines()] == [
        [True, None],
        [True, ["CatalogError", "row 7: no such photo — Größe"]],
        [True, ["OSError", "no space left"]],
    ]
    cannot = "The first process could not do its part"
    assert [json.loads(line) for line in other.splitlines()] == [
        [True, None],
        [False, ["TrainingError", f"{cannot} (split): row 7: no such photo — Größe"]],
        # May pass, as when storage is away: whoever watches starts all again.
        [False, ["PeersUnreachable", f"{cannot} (log): OSError: no space left"]],
    ]
