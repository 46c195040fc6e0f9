"""A catalogue and an experiment small enough to train in seconds."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog
from trainer.training.experiment import Experiment

TRAIN = """
import json, sys
from trainer.data.catalog import open_catalog
from trainer.errors import LookalikeError
from trainer.training.experiment import Experiment
from trainer.training.loop import train
try:
    train(open_catalog(sys.argv[1]), sys.argv[2], Experiment.from_dict(json.loads(sys.argv[3])))
except LookalikeError as error:
    sys.exit(str(error))
"""


@pytest.fixture(scope="session")
def compiled_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One folder of compiled programs for all tests here: the same network, compiled once."""
    folder = tmp_path_factory.mktemp("xla")
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(folder))
    yield folder
    jax.config.update("jax_compilation_cache_dir", before)


@pytest.fixture(autouse=True)
def _compiled_once(compiled_programs: Path) -> None:
    """Every test here uses that folder."""


def write_catalog(folder: Path, *, products: int = 12, photos: int = 4) -> Path:
    """Products are coarse colour patterns; their photos differ in noise and brightness."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "product_id", "role"))
        for product in range(products):
            pattern = np.random.default_rng(product).integers(0, 256, (4, 4, 3), np.uint8)
            enlarged = np.asarray(Image.fromarray(pattern).resize((40, 40), 0), np.float64)
            for photo in range(photos):
                random = np.random.default_rng((product, photo))
                noisy = enlarged + random.normal(0, 15, enlarged.shape) + random.uniform(-25, 25)
                name = f"{product}-{photo}.jpg"
                Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / name)
                writer.writerow((name, f"p{product}", "query" if photo else "catalog"))
    return folder


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a catalogue of 12 products with 4 photos each."""
    return write_catalog(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def catalog(shop: Path) -> Catalog:
    """That catalogue, opened."""
    return open_catalog(shop)


@pytest.fixture
def experiment() -> Callable[..., Experiment]:
    """Makes a small experiment; keywords change it."""

    def make(**changes: Any) -> Experiment:
        small: dict[str, Any] = {
            "architecture": "resnet18",
            "width": 4,
            "embedding_dim": 16,
            "image_size": 32,
            "steps": 24,
            "holdout": 0.34,
            "products_per_batch": 4,
            "photos_per_product": 3,
            "learning_rate": 3e-3,
            "head_learning_rate_factor": 1.0,
            "warmup_steps": 2,
            "checkpoint_every": 8,
            "log_every": 2,
        }
        return Experiment(**{**small, **changes})

    return make


@pytest.fixture
def head_only(experiment: Callable[..., Experiment]) -> Callable[..., Experiment]:
    """Makes a small experiment that trains only the head: it compiles in a fraction of the time."""

    def make(**changes: Any) -> Experiment:
        return experiment(**{"frozen_stages": 4, "batch_norm": "frozen", **changes})

    return make


@pytest.fixture
def start_training(
    shop: Path, compiled_programs: Path
) -> Iterator[Callable[[str, Experiment], "subprocess.Popen[str]"]]:
    """Starts training in a process of its own, which a test may kill."""
    processes: list[subprocess.Popen[str]] = []

    def start(run_url: str, experiment: Experiment) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(shop), run_url, json.dumps(experiment.to_dict())],
            env={
                **os.environ,
                "JAX_COMPILATION_CACHE_DIR": str(compiled_programs),
                # The emulator cannot say what kind of bucket it has; gcsfs need not ask.
                "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()
