"""What the trainer's tests share."""

import signal
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.model.parameters import from_flat, parameter_shapes

# As in function.embedder: openvino's telemetry forks this process while it imports, under JAX.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def random_array(
    name: str, shape: tuple[int, ...], random: np.random.Generator
) -> NDArray[np.float32]:
    """An array away from its initial value, so that none can be forgotten unseen."""
    kind = name.rpartition("/")[2]
    if kind == "kernel":
        fan_in = np.prod(shape[:-1])
        return random.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32)
    if kind in ("bias", "mean"):
        return random.uniform(-0.2, 0.2, shape).astype(np.float32)
    return random.uniform(0.6, 1.4, shape).astype(np.float32) * (3 if kind == "power" else 1)


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Tests that a shell runs in the background ignore Ctrl-C, and children would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def random_model() -> Callable[[ModelConfig], Embedder]:
    """Makes a model of this configuration with every array random, the same each time."""

    def make(config: ModelConfig) -> Embedder:
        random = np.random.default_rng(1)
        shapes = parameter_shapes(config)
        return from_flat(
            config, {name: random_array(name, shape, random) for name, shape in shapes.items()}
        )

    return make
