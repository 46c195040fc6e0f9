"""Write convention_values.json: what other libraries give for a few small sets of vectors.

PyTorch stays out of this project's environment, so the values are made once, in another one:

    python3.11 -m venv elsewhere
    elsewhere/bin/pip install torch==2.13.0 pytorch-metric-learning==2.9.0 faiss-cpu==1.15.1
    elsewhere/bin/pip install open-metric-learning==4.0.0
    elsewhere/bin/python tests/trainer/evaluation/make_convention_values.py

Each set is scored in two orders of its rows, leave-one-out. Beside the figures lie the neighbours
from which the library took them: where scores tie, these are one ranking of several.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from oml.functional.knn import batched_knn
from oml.functional.metrics import calc_retrieval_metrics
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import FaissKNN

HERE = Path(__file__).parent
DEPTHS = (1, 10)


def clustered(seed: int, counts: list[int], dim: int, spread: float) -> tuple[np.ndarray, list]:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = random.normal(size=(len(counts), dim))[labels]
    rows += spread * random.normal(size=(labels.size, dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), labels.tolist()


def copies_across_classes() -> tuple[np.ndarray, list]:
    """Six photos, four of them the same one, in two classes."""
    rows = np.zeros((6, 4), np.float32)
    rows[:4, 0] = 1.0
    rows[4, 1] = rows[5, 2] = 1.0
    return rows, [0, 0, 1, 1, 0, 1]


def copies_within_classes() -> tuple[np.ndarray, list]:
    rows, labels = clustered(5, [4, 4, 4], 6, 0.9)
    for first in (0, 4, 8):
        rows[first + 1] = rows[first]
    return rows, labels


def grid() -> tuple[np.ndarray, list]:
    """Few directions, so that many photos of all classes tie."""
    random = np.random.default_rng(6)
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    return axes[random.integers(6, size=18)].astype(np.float32), random.integers(
        4, size=18
    ).tolist()


SETS = {
    "apart": clustered(0, [4] * 4, 8, 0.3),
    "overlapping": clustered(1, [5, 3, 2, 6], 6, 1.5),
    "single photos": clustered(2, [4, 1, 3, 1, 1, 5], 6, 1.0),
    "copies within classes": copies_within_classes(),
    "copies across classes": copies_across_classes(),
    "grid": grid(),
    "one point": (np.tile(np.float32([0.6, 0.8]), (9, 1)), [0, 0, 0, 1, 1, 1, 2, 2, 2]),
}


def by_pytorch_metric_learning(rows: torch.Tensor, labels: torch.Tensor) -> dict:
    include = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    found = {}
    for name, of_averages in (("average", False), ("avg_of_avgs", True)):
        found[name] = AccuracyCalculator(
            include, k="max_bin_count", avg_of_avgs=of_averages, device=torch.device("cpu")
        ).get_accuracy(rows, labels)
    depth = int(torch.bincount(labels).max()) - 1
    neighbours = FaissKNN()(rows, depth, rows, ref_includes_query=True)[1]
    return {**found, "neighbours": neighbours.tolist()}


def by_open_metric_learning(rows: torch.Tensor, labels: torch.Tensor) -> dict:
    every = torch.arange(len(rows))
    _, neighbours, relevant = batched_knn(rows, every, every, top_n=len(rows), labels_gt=labels)
    found = calc_retrieval_metrics(
        neighbours, relevant, None, DEPTHS, DEPTHS, DEPTHS, verbose=False
    )
    return {
        **{
            f"{name}_{k}": None if value.isnan() else value.item()
            for name, values in found.items()
            for k, value in values.items()
        },
        "neighbours": [row.tolist() for row in neighbours],
    }


def main() -> None:
    cases = []
    for name, (rows, labels) in SETS.items():
        for order in ("as they are", "reversed"):
            step = 1 if order == "as they are" else -1
            vectors, ids = np.ascontiguousarray(rows[::step]), labels[::step]
            tensors = torch.from_numpy(vectors), torch.tensor(ids)
            cases.append(
                {
                    "name": f"{name}, {order}",
                    "vectors": vectors.tolist(),
                    "labels": ids,
                    "pytorch_metric_learning": by_pytorch_metric_learning(*tensors),
                    "open_metric_learning": by_open_metric_learning(*tensors),
                }
            )
    libraries = ("torch", "faiss-cpu", "pytorch-metric-learning", "open-metric-learning")
    content = {"made_with": {name: version(name) for name in libraries}, "cases": cases}
    path = HERE / "convention_values.json"
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
