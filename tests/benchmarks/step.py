"""A training step against PyTorch's: forward, multi-similarity loss, backward, AdamW's update.

    python -m tests.benchmarks.step [--only resnet18] [--batch 256] [--turns 5] [--cpu-time]

Both at the same batch, image size and number of threads, BatchNorm on the batch's statistics, by
turns: ours, PyTorch with channels last, PyTorch with channels first. The faster layout is the peer.
Where both have a GPU they compute there, PyTorch compiled: with JAX's `cuda` extra here and a CUDA
build of PyTorch among the peers. It wants `--dtype bfloat16` and a `--batch` that keeps it busy.
The roofline is the pace of a large float32 matrix product in XLA, measured in the same turns, over
the operations that XLA counts in our step.

`--cpu-time` compares processor seconds on one core instead: they hold on a machine that others use,
where the wall clock says nothing.
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from tests.benchmarks import peers
from tests.benchmarks.timing import Row, report
from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.model.parameters import to_flat
from trainer.training.allocation import keep_freed_memory
from trainer.training.experiment import Experiment
from trainer.training.gradient import make_loss_and_gradient
from trainer.training.optimizer import make_optimizer
from trainer.training.state import split_arrays

SETTINGS = (("resnet18", 64, 64), ("resnet50", 96, 32), ("resnet50", 224, 16))
PHOTOS_PER_PRODUCT = 4
PRODUCT_SIDE = 2048


@dataclass(frozen=True)
class Clock:
    """What a turn is measured by."""

    now: Callable[[], float]
    threads: int


class Ours:
    """The trainer's step, compiled; without what PyTorch's does not do: guards and statistics."""

    def __init__(self, architecture: str, side: int, batch: int, dtype: str) -> None:
        config = ModelConfig(architecture=architecture, dtype=dtype)
        experiment = Experiment(batch_norm="train", weights=None)
        evaluate = make_loss_and_gradient(experiment, config)
        optimizer = make_optimizer(experiment)
        parameters, statistics = split_arrays(to_flat(Embedder(config, rngs=nnx.Rngs(0))))
        self.state = (parameters, statistics, optimizer.init(parameters))
        shape = (batch, side, side, 3)
        self.pixels = jnp.asarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
        self.labels = jnp.arange(batch, dtype=jnp.int32) // PHOTOS_PER_PRODUCT

        def step(state, pixels, labels):
            parameters, statistics, moments = state
            batch = evaluate(parameters, statistics, None, pixels, labels)
            updates, moments = optimizer.update(batch.gradient, moments, parameters)
            return (optax.apply_updates(parameters, updates), batch.statistics, moments), batch.loss

        lowered = jax.jit(step, donate_argnums=0).lower(self.state, self.pixels, self.labels)
        self.compiled = lowered.compile()
        self.operations = self.compiled.cost_analysis()["flops"]

    def __call__(self, clock: Clock) -> float:
        start = clock.now()
        self.state, loss = self.compiled(self.state, self.pixels, self.labels)
        jax.block_until_ready((self.state, loss))
        return clock.now() - start


class Product:
    """A large matrix product in XLA: seconds for as many operations as a step has."""

    def __init__(self, operations: float, dtype: str) -> None:
        self.factor = jnp.ones((PRODUCT_SIDE, PRODUCT_SIDE), dtype)
        self.compiled = jax.jit(jnp.matmul).lower(self.factor, self.factor).compile()
        self.share = operations / (2 * PRODUCT_SIDE**3)

    def __call__(self, clock: Clock) -> float:
        start = clock.now()
        jax.block_until_ready(self.compiled(self.factor, self.factor))
        return self.share * (clock.now() - start)


class Torch:
    """PyTorch's step in a process of its own, that waits between its turns."""

    def __init__(self, clock: Clock, *arguments: object) -> None:
        script = Path(peers.__file__).with_name("step.py")
        command = [peers.PYTHON, script, *map(str, arguments), "--threads", str(clock.threads)]
        if clock.now is time.process_time:
            command.append("--cpu-time")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, clock: Clock) -> float:
        del clock
        assert self.process.stdin
        assert self.process.stdout
        print(1, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())["seconds"]

    def close(self) -> None:
        self.process.communicate()


def measure(architecture: str, side: int, batch: int, dtype: str, turns: int, clock: Clock) -> Row:
    setting = (architecture, side, batch, *(["--bfloat16"] if dtype == "bfloat16" else []))
    last, first = Torch(clock, *setting, "--channels-last"), Torch(clock, *setting)
    ours = Ours(architecture, side, batch, dtype)
    contestants = (ours, last, first, Product(ours.operations, dtype))
    for contestant in contestants:
        contestant(clock)  # compilers, caches, thread pools
    taken = [[contestant(clock) for contestant in contestants] for _ in range(turns)]
    for peer in (last, first):
        peer.close()
    our_time, last_time, first_time, limit = (median(times) for times in zip(*taken, strict=True))
    return {
        "step": f"{architecture}, {side} px, batch {batch}, {dtype}",
        "images/s": batch / our_time,
        "torch channels last": batch / last_time,
        "torch channels first": batch / first_time,
        "ours / torch": min(last_time, first_time) / our_time,
        "GFLOP/s": ours.operations / our_time / 1e9,
        "peak GFLOP/s": ours.operations / limit / 1e9,
        "share of peak": limit / our_time,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="settings whose name has this")
    parser.add_argument("--batch", type=int, help="photos in a batch of every setting")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--cpu-time", action="store_true")
    arguments = parser.parse_args()
    if arguments.cpu_time:
        os.sched_setaffinity(0, {0})  # before XLA counts the cores
    cores = len(os.sched_getaffinity(0))
    clock = Clock(time.process_time if arguments.cpu_time else time.perf_counter, cores)
    keep_freed_memory()
    rows = [
        measure(name, side, arguments.batch or batch, arguments.dtype, arguments.turns, clock)
        for name, side, batch in SETTINGS
        if arguments.only in f"{name} {side} {batch}"
    ]
    unit = "processor seconds of one core" if arguments.cpu_time else f"{cores} cores"
    report("step", f"Training step, images/s, {unit}, median of {arguments.turns}", rows)


if __name__ == "__main__":
    main()
