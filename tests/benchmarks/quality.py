"""R@1 on unseen products, trained here and with pytorch-metric-learning, all else being equal.

    python -m tests.benchmarks.quality [--steps 300] [--seeds 0 1 2]

The data set is the demo's synthetic catalogue, the network the demo's. Both sides get the same
split, first weights, batches (augmented photos, from a file, in the same order), optimiser (AdamW
in the same groups, clipped alike), learning rates and evaluation. What differs is the framework,
the loss's code and the order of float32 sums. A seed decides split, weights, batches and
augmentation.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import jax
import numpy as np

from tests.benchmarks.peers import run_peer
from tests.benchmarks.timing import FOLDER, Row, report
from trainer import demo, experiments
from trainer.data.catalog import open_catalog
from trainer.data.pipeline import TrainingBatches, evaluation_batches
from trainer.data.recolour import recolour
from trainer.data.records import Catalog
from trainer.data.split import split_products
from trainer.data.studio import write_studio_catalog
from trainer.evaluation.embedding import compiled
from trainer.evaluation.metrics import retrieval_metrics
from trainer.model.config import ModelConfig
from trainer.model.parameters import from_flat, to_flat
from trainer.model.pretrained_names import TORCHVISION
from trainer.progress import track
from trainer.training.allocation import keep_freed_memory
from trainer.training.batches import training_batches
from trainer.training.experiment import Experiment
from trainer.training.initial import initial_config, initial_model
from trainer.training.mesh import device_mesh, put_rows, put_whole
from trainer.training.optimizer import learning_rate_schedule
from trainer.training.state import initial_state
from trainer.training.step import make_step

EVALUATION_BATCH = 64


def write_batches(batches: TrainingBatches, path: Path) -> np.ndarray:
    """Write the augmented photos of all steps; return their labels."""
    steps, side = batches.stop_step, batches.image_size
    shape = (steps, batches.sampler.batch_size, side, side, 3)
    file = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    labels = np.empty(shape[:2], np.int32)
    for batch in track(batches, "Photos", steps):
        file[batch.step] = recolour(jax.device_put(batch.pixels), jax.device_put(batch.colour))
        labels[batch.step] = batch.labels
    file.flush()
    return labels


def as_torchvision(arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    """The network's arrays by torchvision's names and in its layout."""
    moved = {}
    for name, value in arrays.items():
        array = np.asarray(value)
        moved[TORCHVISION.name(name)] = np.ascontiguousarray(
            np.moveaxis(array, (-1, -2), (0, 1)) if array.ndim > 1 else array
        )
    return moved


def train_ours(
    experiment: Experiment, config: ModelConfig, batches: np.ndarray, labels: np.ndarray
) -> tuple[dict[str, Any], float, float]:
    mesh = device_mesh(experiment.batch_size, jax.devices()[:1])
    arrays = to_flat(initial_model(experiment, config))
    state = initial_state(experiment, config, arrays, classes=0)
    state = jax.tree.map(partial(put_whole, mesh), state)
    step = make_step(experiment, config, mesh)
    unchanged = np.tile(np.array([1, 1, 1, 0], np.float32), (experiment.batch_size, 1))
    start = time.perf_counter()
    for number, (pixels, numbers) in enumerate(zip(batches, labels, strict=True)):
        rows = (np.zeros(1, np.int32), np.asarray(pixels), None, unchanged, numbers)
        inputs = [None if array is None else put_rows(mesh, array) for array in rows]
        state, metrics = step(state, put_whole(mesh, np.int32(number)), *inputs)
    loss = float(metrics.loss)
    return dict(state.arrays), time.perf_counter() - start, loss


def recall(vectors: np.ndarray, evaluation: Catalog, task: str) -> float:
    """R@1, leave-one-out over all photos or from the customers' photos to the shop's."""
    products = np.array([photo.product_id for photo in evaluation.photos])
    roles = np.array([photo.role for photo in evaluation.photos])
    if task == "leave-one-out":
        chosen = gallery = np.arange(len(products))
        itself = chosen
    else:
        chosen, gallery = np.flatnonzero(roles == "query"), np.flatnonzero(roles == "catalog")
        itself = np.full(len(chosen), -1)
    found = retrieval_metrics(
        vectors[chosen], products[chosen], vectors[gallery], products[gallery], self_index=itself
    )
    return found.recall_at[1]


def measure(catalog: Catalog, experiment: Experiment, folder: Path) -> dict[str, Any]:
    split = split_products(catalog, holdout=experiment.holdout, seed=experiment.seed)
    config = initial_config(experiment)
    labels = write_batches(training_batches(split.train, experiment), folder / "batches.npy")
    evaluation = np.concatenate(
        list(evaluation_batches(split.evaluation, experiment.image_size, EVALUATION_BATCH))
    )
    first = to_flat(initial_model(experiment, config))
    schedule = learning_rate_schedule(experiment)
    settings = {
        "architecture": config.architecture,
        "width": config.width,
        "embedding_dim": config.embedding_dim,
        "head_learning_rate_factor": experiment.head_learning_rate_factor,
        "weight_decay": experiment.weight_decay,
        "clip_norm": experiment.clip_norm,
        "threads": os.cpu_count(),
    }
    weights = as_torchvision(first)
    np.savez(
        folder / "inputs.npz",
        settings=json.dumps(settings),
        labels=labels,
        rates=np.array([float(schedule(step)) for step in range(experiment.steps)]),
        evaluation=evaluation,
        **{f"weights/{name}": array for name, array in weights.items()},
    )
    vectors = folder / "vectors.npy"
    peer = run_peer("quality", folder / "inputs.npz", folder / "batches.npy", vectors)
    batches = np.load(folder / "batches.npy", mmap_mode="r")
    arrays, seconds, loss = train_ours(experiment, config, batches, labels)
    embed = compiled(from_flat(config, arrays))
    padded = np.pad(evaluation, ((0, -len(evaluation) % EVALUATION_BATCH), (0, 0), (0, 0), (0, 0)))
    parts = padded.reshape(-1, EVALUATION_BATCH, *padded.shape[1:])
    ours = np.concatenate([embed(part) for part in parts])[: len(evaluation)]
    return {
        "ours": ours,
        "pml": np.load(vectors),
        "seconds": {"ours": seconds, "pml": peer["seconds"]},
        "loss": {"ours": loss, "pml": peer["loss"]},
        "evaluation": split.evaluation,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    keep_freed_memory()
    place = FOLDER / "studio"
    write_studio_catalog(
        place,
        products=demo.STUDIO_PRODUCTS,
        photos_per_product=demo.STUDIO_PHOTOS_PER_PRODUCT,
    )
    catalog = open_catalog(place)
    rows: list[Row] = []
    recalls: dict[tuple[str, str], list[float]] = {}
    for seed in arguments.seeds:
        experiment = replace(experiments.load("studio"), steps=arguments.steps, seed=seed)
        with tempfile.TemporaryDirectory() as folder:
            found = measure(catalog, experiment, Path(folder))
        for task in ("photo → catalogue", "leave-one-out"):
            ours, pml = (recall(found[side], found["evaluation"], task) for side in ("ours", "pml"))
            recalls.setdefault((task, "ours"), []).append(ours)
            recalls.setdefault((task, "pml"), []).append(pml)
            rows.append(
                {
                    "R@1": f"{task}, seed {seed}",
                    "ours": ours,
                    "PML": pml,
                    "ours s": found["seconds"]["ours"],
                    "PML s": found["seconds"]["pml"],
                    "ours last loss": found["loss"]["ours"],
                    "PML last loss": found["loss"]["pml"],
                }
            )
    for task in ("photo → catalogue", "leave-one-out"):
        row: Row = {"R@1": f"{task}, mean"}
        for side, name in (("ours", "ours"), ("pml", "PML")):
            values = recalls[task, side]
            spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
            row[name] = f"{mean(values):.3f}{spread}"
        rows.append({**dict.fromkeys(rows[0]), **row})
    report("quality", f"R@1 on unseen products after {arguments.steps} equal steps", rows)


if __name__ == "__main__":
    main()
