"""Run by test_mesh.py in a process with eight virtual devices: steps on a mesh, to an .npz.

python -m tests.trainer.training.parallel_steps OUT

In two processes that JAX_COORDINATOR_ADDRESS brings together, with two virtual devices each, the
gradients over all four.
"""

import sys
from dataclasses import replace
from functools import partial

import jax
import numpy as np
from jax.sharding import Mesh

from trainer.data.crop import room_side
from trainer.data.pipeline import Resize
from trainer.losses.references import References
from trainer.model.parameters import to_flat
from trainer.training.distributed import connect, share
from trainer.training.experiment import Experiment
from trainer.training.gradient import make_loss_and_gradient
from trainer.training.initial import initial_config, initial_model
from trainer.training.mesh import by_rows, device_mesh, put_rows, put_whole, whole
from trainer.training.state import TrainState, initial_state
from trainer.training.step import make_step

BATCH, SIDE, STEPS, MEMORY = 16, 32, 3, 24
DEVICES = (1, 2, 4, 8)
# BatchNorm learns the statistics of the whole batch; one stage keeps compiling short.
EXPERIMENT = Experiment(
    architecture="resnet18",
    width=4,
    embedding_dim=16,
    image_size=SIDE,
    steps=STEPS,
    products_per_batch=4,
    photos_per_product=4,
    frozen_stages=3,
    learning_rate=1e-3,
    memory_size=MEMORY,
    memory_warmup_steps=1,
)
CONFIG = initial_config(EXPERIMENT)
# BatchNorm learns from no part of a batch.
IN_PARTS = replace(EXPERIMENT, batch_norm="frozen", gradient_chunks=2)


def batch(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(number)
    pixels = random.integers(0, 256, (BATCH, SIDE, SIDE, 3), np.uint8)
    colour = np.array([1, 1, 1, 0], np.float32) + random.normal(0, 0.05, (BATCH, 4))
    return pixels, colour.astype(np.float32), random.permutation(BATCH).astype(np.int32) % 4


def windowed(number: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of a batch that the device resizes, and the windows."""
    random = np.random.default_rng(number)
    side = room_side(SIDE, EXPERIMENT.augmentation.ratio)
    pixels = random.integers(0, 256, (BATCH, side, side, 3), np.uint8)
    first, valid = random.uniform(0, 9, (BATCH, 2)), random.uniform(30, side, (BATCH, 2))
    return pixels, np.hstack([first, valid - 1, valid]).astype(np.float32)


def steps(devices: int, *, resize: Resize) -> dict[str, np.ndarray]:
    """Losses of some steps, the first without the memory, and the state after them."""
    mesh, state = begin(devices)
    step = make_step(EXPERIMENT, CONFIG, mesh)
    losses = []
    for number in range(STEPS):
        pixels, colour, labels = batch(number)
        windows = None
        if resize == "device":
            pixels, windows = windowed(number)
        arrays = (np.zeros(devices, np.int32), pixels, windows, colour, labels)
        inputs = [None if rows is None else put_rows(mesh, rows) for rows in arrays]
        state, metrics = step(state, put_whole(mesh, np.int32(number)), *inputs)
        losses.append(float(metrics.loss))
    arrays = {name: np.asarray(value) for name, value in state.arrays.items()}
    memory = {f"memory/{name}": np.asarray(value) for name, value in vars(state.memory).items()}
    return {"losses": np.array(losses), **arrays, **memory}


def gradients(devices: int) -> dict[str, np.ndarray]:
    """Value and gradient of a batch: without a memory that counts, with one, and so in parts."""
    mesh, state = begin(devices)
    everywhere, rows = whole(mesh), by_rows(mesh)
    at_once, in_parts = (
        jax.jit(
            make_loss_and_gradient(experiment, CONFIG),
            in_shardings=(everywhere, everywhere, everywhere, rows, rows),
        )
        for experiment in (EXPERIMENT, IN_PARTS)
    )
    pixels, _, labels = (put_rows(mesh, mine(array)) for array in batch(0))
    random = np.random.default_rng(9)
    remembered = random.normal(size=(MEMORY, 16)).astype(np.float32)
    found = {}
    kinds = {"plain": (at_once, False), "memory": (at_once, True), "parts": (in_parts, True)}
    for kind, (evaluate, valid) in kinds.items():
        memory = References(
            *(
                put_whole(mesh, array)
                for array in (
                    remembered / np.linalg.norm(remembered, axis=1, keepdims=True),
                    np.arange(MEMORY, dtype=np.int32) % 4,
                    np.full(MEMORY, valid),
                )
            )
        )
        evaluated = evaluate(state.parameters, state.statistics, memory, pixels, labels)
        found[f"{kind}/value"] = np.asarray(evaluated.loss)
        for name, gradient in evaluated.gradient.items():
            found[f"{kind}/gradient/{name}"] = np.asarray(gradient)
        for name, statistic in evaluated.statistics.items():
            found[f"{kind}/{name}"] = np.asarray(statistic)
    return found


def mine(rows: np.ndarray) -> np.ndarray:
    """The share of a batch's rows that this process places."""
    index, count = share()
    return np.split(rows, count)[index]


def begin(devices: int) -> tuple[Mesh, TrainState]:
    mesh = device_mesh(BATCH, jax.devices()[:devices])
    arrays = to_flat(initial_model(EXPERIMENT, CONFIG))
    state = initial_state(EXPERIMENT, CONFIG, arrays, classes=4)
    return mesh, jax.tree.map(partial(put_whole, mesh), state)


def main(out: str) -> None:
    connect("auto")
    if share()[1] > 1:
        found = gradients(len(jax.devices()))
    else:
        found = {f"{n}/{name}": value for n in DEVICES for name, value in gradients(n).items()}
        for n in (1, 8):
            for kind, resize in (("steps", "host"), ("resized", "device")):
                found |= {f"{n}/{kind}/{k}": value for k, value in steps(n, resize=resize).items()}
    np.savez(out, **found)


if __name__ == "__main__":
    main(sys.argv[1])
