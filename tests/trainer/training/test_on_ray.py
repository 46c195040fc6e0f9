"""`lookalike train --distributed ray` on a real cluster, and what befalls its nodes."""

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
from tests.ray_cluster import RayCluster, RayNode
from tests.trainer.training.arrays import everything
from tests.trainer.training.hosts import environment_of
from trainer.training.experiment import Experiment
from trainer.training.run import Run

type Driver = "subprocess.Popen[str]"
STEPS = 200


@pytest.fixture
def asked(head_only: Callable[..., Experiment]) -> Experiment:
    """An experiment whose every array of state moves, in batches that two nodes can share."""
    return head_only(steps=STEPS, checkpoint_every=10, average_decay=0.9, memory_size=24)


def command(shop: Path, run: Path, asked: Experiment, *options: str) -> list[str]:
    """Its command line."""
    default = Experiment().to_dict()
    changed = {k: v for k, v in asked.to_dict().items() if v != default[k]}
    values = [f"--{name.replace('_', '-')}={value}" for name, value in changed.items()]
    train = (sys.executable, "-m", "trainer", "train", "--json")
    return [*train, "--catalog", str(shop), "--run", str(run), *values, *options]


@pytest.fixture
def cluster(
    ray_cluster: Callable[..., RayCluster],
    compiled_programs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> RayCluster:
    """A head and three nodes, of which two train."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(compiled_programs))
    return ray_cluster(1, 1, 1)


@pytest.fixture
def start(cluster: RayCluster) -> Iterator[Callable[..., Driver]]:
    """Starts a command on the cluster's head."""
    drivers: list[Driver] = []

    def begin(arguments: list[str], *options: str, stderr: int = subprocess.PIPE) -> Driver:
        drivers.append(
            subprocess.Popen(
                [*arguments, "--distributed", "ray", *options],
                env=cluster.environment,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        )
        return drivers[-1]

    yield begin
    for driver in drivers:
        driver.kill()
        # Closes what was not read, and waits for its end.
        with driver:
            pass


def wait_for_checkpoint(run: Path, driver: Driver) -> None:
    """Until one is complete."""
    complete = re.compile(r"checkpoints/\d+/commit_success.txt")
    while not (run.exists() and any(map(complete.fullmatch, open_storage(str(run)).list()))):
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.05)


def trains(node: RayNode) -> bool:
    """Whether a worker is on it."""
    names = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in node.pids()]
    return any(b"RayTrainWorker" in name for name in names)


def shown_on(terminal: int) -> str:
    """All that a process writes to its terminal, until it ends."""
    shown = b""
    try:
        while read := os.read(terminal, 65536):
            shown += read
    except OSError:
        # How Linux tells that nobody has the other end any more.
        pass
    finally:
        os.close(terminal)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode(errors="replace"))


def on_two_plain_hosts(arguments: list[str]) -> None:
    """Run a command in two processes that find each other without Ray."""
    address = f"127.0.0.1:{free_port()}"
    hosts = [
        subprocess.Popen(
            [*arguments, "--distributed", "on"],
            env=environment_of(index, address),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    try:
        ends = [host.communicate()[1] for host in hosts]
    finally:
        for host in hosts:
            host.kill()
    assert [host.returncode for host in hosts] == [0, 0], ends


def assert_same_bits(found: Path, expected: Path, asked: Experiment) -> None:
    ours, theirs = everything(str(found), asked), everything(str(expected), asked)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, name)


# A cluster of four nodes and four trainings, on processors that others may use.
@pytest.mark.timeout(3000)
@pytest.mark.slow
def test_neither_a_lost_node_nor_an_interruption_changes_a_bit(
    cluster: RayCluster,
    start: Callable[..., Driver],
    shop: Path,
    asked: Experiment,
    tmp_path: Path,
) -> None:
    plain = tmp_path / "plain"
    on_two_plain_hosts(command(shop, plain, asked))

    stopped = tmp_path / "stopped"
    driver = start(command(shop, stopped, asked))
    wait_for_checkpoint(stopped, driver)
    begin = time.monotonic()
    driver.send_signal(signal.SIGTERM)
    out, err = driver.communicate()
    assert time.monotonic() - begin < 30
    assert (driver.returncode, out) == (1, ""), err
    step = Run(str(stopped)).load()[1]
    assert 0 < step < STEPS
    # Said by all workers, and told once.
    assert err.count(f"SIGTERM stopped training after step {step} of {STEPS}") == 1, err

    seen, terminal = os.openpty()
    driver = start(command(shop, stopped, asked), stderr=terminal)
    os.close(terminal)
    shown = shown_on(seen)
    out, _ = driver.communicate()
    assert driver.returncode == 0, shown
    assert json.loads(out)["resumed_from"] == step
    # The bar that a worker draws moves on the terminal of the command.
    assert len(set(re.findall(rf"Training .* (\d+)/{STEPS}", shown))) > 2, shown
    assert_same_bits(stopped, plain, asked)

    killed = tmp_path / "killed"
    driver = start(command(shop, killed, asked), "--restarts", "3")
    wait_for_checkpoint(killed, driver)
    # A spare one is left.
    lost, _ = (node for node in cluster.nodes if trains(node))
    lost.kill()
    out, err = driver.communicate()
    assert driver.returncode == 0, err
    assert "A worker was lost: all begin again" in err.replace("\n", " ")
    summary = json.loads(out)
    assert (summary["steps"], summary["resumed_from"] > 0) == (STEPS, True)
    assert_same_bits(killed, plain, asked)


@pytest.mark.timeout(1500)
@pytest.mark.slow
def test_what_workers_refuse_is_said_once_and_not_tried_again(
    start: Callable[..., Driver], shop: Path, asked: Experiment, tmp_path: Path
) -> None:
    run, nowhere = tmp_path / "run", tmp_path / "nowhere"
    driver = start(command(nowhere, run, asked), "--restarts", "3")
    out, err = driver.communicate()
    assert (driver.returncode, out) == (1, "")
    assert err.count(str(nowhere)) == 1, err
    assert "begin again" not in err
    assert not run.exists()


@pytest.mark.parametrize("address", ["127.0.0.1:PORT", "elsewhere"])
def test_a_cluster_that_is_not_there_is_named(
    address: str, shop: Path, asked: Experiment, tmp_path: Path
) -> None:
    address = address.replace("PORT", str(free_port()))
    options = ("--distributed", "ray", "--ray-address", address)
    done = subprocess.run(
        command(shop, tmp_path / "run", asked, *options), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert f"expected a Ray cluster at {address}" in done.stderr
    assert "ray start --head" in done.stderr


def test_the_package_that_is_missing_is_named(
    shop: Path, asked: Experiment, tmp_path: Path
) -> None:
    arguments = command(shop, tmp_path / "run", asked, "--distributed", "ray")[3:]
    code = (
        "import sys\nsys.modules['ray'] = None\nfrom trainer.cli import main\n"
        f"main({arguments!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert 'make setup EXTRAS="ray"' in done.stderr
    assert "jax" not in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--distributed", "ray", "--ray-workers", "0"), "expected at least 1; found 0"),
        (("--distributed", "ray", "--ray-resources", "TPU", "4"), "--distributed on"),
        (("--ray-workers", "4"), "are for --distributed ray"),
    ],
)
def test_a_crew_that_cannot_be_is_refused(
    options: tuple[str, ...], message: str, shop: Path, asked: Experiment, tmp_path: Path
) -> None:
    arguments = command(shop, tmp_path / "run", asked, *options)
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 1
    assert message in done.stderr.replace("\n", " ")
