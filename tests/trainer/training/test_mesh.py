"""Many devices compute what one computes: the loss is over the whole batch."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.ports import free_port
from tests.trainer.training import parallel_steps
from tests.trainer.training.hosts import environment_of
from trainer.errors import TrainingError
from trainer.training.mesh import device_mesh

REPOSITORY = Path(__file__).resolve().parents[3]
# Of `parallel_steps.gradients`.
KINDS = ("plain", "memory", "parts")


@pytest.fixture(scope="module")
def measured(
    tmp_path_factory: pytest.TempPathFactory, compiled_programs: Path
) -> dict[str, np.ndarray]:
    """What steps gave on 1, 2, 4 and 8 virtual devices, by devices/kind/name."""
    out = tmp_path_factory.mktemp("parallel") / "steps.npz"
    subprocess.run(
        [sys.executable, "-m", parallel_steps.__name__, out],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
            "JAX_COMPILATION_CACHE_DIR": str(compiled_programs),
        },
        check=True,
    )
    with np.load(out) as found:
        return dict(found)


@pytest.fixture(scope="module")
def over_processes(
    tmp_path_factory: pytest.TempPathFactory, compiled_programs: Path
) -> list[dict[str, np.ndarray]]:
    """What each of two processes, of two virtual devices each, found of one batch's gradient."""
    folder, address = tmp_path_factory.mktemp("processes"), f"127.0.0.1:{free_port()}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", parallel_steps.__name__, folder / f"{index}.npz"],
            cwd=REPOSITORY,
            env={
                **environment_of(index, address),
                "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
                "JAX_COMPILATION_CACHE_DIR": str(compiled_programs),
            },
        )
        for index in range(2)
    ]
    assert [process.wait(240) for process in processes] == [0, 0]
    found = []
    for index in range(2):
        with np.load(folder / f"{index}.npz") as arrays:
            found.append(dict(arrays))
    return found


def one_and_many(
    measured: dict[str, np.ndarray], devices: int, prefix: str
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for name, expected in measured.items():
        if name.startswith(f"1/{prefix}/"):
            yield name, expected, measured[f"{devices}{name.removeprefix('1')}"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("devices", [2, 4, 8])
def test_value_and_gradient_on_many_devices_are_those_of_one(
    devices: int, kind: str, measured: dict[str, np.ndarray]
) -> None:
    compared = 0
    for name, alone, together in one_and_many(measured, devices, kind):
        # Only the order of float32 sums differs; exp(50·S) makes 50 of one rounding.
        assert np.abs(together - alone).max() <= 1e-4 * max(np.abs(alone).max(), 1e-2), name
        compared += alone.any()
    assert compared > 10
    assert len({float(measured[f"{devices}/{other}/value"]) for other in KINDS}) == 3


# Each of the two compiles, and may wait for other tests' compilers.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradient_over_two_processes_are_those_of_one_device(
    kind: str, over_processes: list[dict[str, np.ndarray]], measured: dict[str, np.ndarray]
) -> None:
    compared = 0
    for name, alone in measured.items():
        if name.startswith(f"1/{kind}/"):
            first, second = (found[name.removeprefix("1/")] for found in over_processes)
            np.testing.assert_array_equal(first, second)
            # As above.
            assert np.abs(first - alone).max() <= 1e-4 * max(np.abs(alone).max(), 1e-2), name
            compared += alone.any()
    assert compared > 10


def test_steps_on_eight_devices_are_those_of_one(measured: dict[str, np.ndarray]) -> None:
    compared = set()
    for name, alone, together in one_and_many(measured, 8, "steps"):
        # Adam divides by the gradient's own size: where that is rounding, so is the direction.
        assert np.abs(together - alone).max() <= 1e-3 * max(np.abs(alone).max(), 1.0), name
        compared.add(name.removeprefix("1/steps/"))
    _, state = parallel_steps.begin(1)
    memory = {f"memory/{name}" for name in vars(state.memory)}
    assert len(memory) == 4
    assert compared == {"losses", *state.arrays, *memory}
    assert len(compared) > 100


@pytest.mark.parametrize("devices", [1, 8])
def test_the_memory_holds_whole_batches_in_their_order(
    devices: int, measured: dict[str, np.ndarray]
) -> None:
    ring = np.zeros(parallel_steps.MEMORY, np.int32)
    written = [parallel_steps.batch(number)[2] for number in range(parallel_steps.STEPS)]
    for place, label in enumerate(np.concatenate(written)):
        ring[place % ring.size] = label
    np.testing.assert_array_equal(measured[f"{devices}/steps/memory/labels"], ring)
    assert measured[f"{devices}/steps/memory/pointer"] == 0


def test_a_batch_that_the_devices_cannot_share_is_refused() -> None:
    devices = jax.devices() * 3
    with pytest.raises(TrainingError, match="that 3 devices can share evenly; found 64 photos"):
        device_mesh(64, devices)


def test_parts_of_a_batch_that_the_devices_cannot_share_are_refused() -> None:
    devices = jax.devices() * 4
    with pytest.raises(TrainingError, match=r"32 parts of 2\. .* divisor of 16"):
        device_mesh(64, devices, parts=32)
    assert device_mesh(64, devices[:2], parts=32).size == 2
