"""Write pytorch_metric_learning_values.json: what pytorch-metric-learning gives for our batches.

PyTorch stays out of this project's environment, so the values are made once, in another one:

    python3.11 -m venv elsewhere
    elsewhere/bin/pip install torch==2.13.0 pytorch-metric-learning==2.9.0
    elsewhere/bin/python tests/trainer/losses/make_pytorch_metric_learning_values.py

Everything is computed in float64 from embeddings that float32 holds exactly.
"""

import json
from pathlib import Path

import numpy as np
import pytorch_metric_learning
import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.miners import MultiSimilarityMiner

HERE = Path(__file__).parent


def clustered(seed: int, counts: list[int], dim: int, spread: float) -> tuple[np.ndarray, list]:
    """Rows scattered about one random centre a class; the rows' lengths differ too."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = random.normal(size=(len(counts), dim))
    rows = centres[labels] + spread * random.normal(size=(labels.size, dim))
    rows *= random.uniform(0.2, 5.0, size=(labels.size, 1))
    order = random.permutation(labels.size)
    return rows[order].astype(np.float32), labels[order].tolist()


def duplicated() -> tuple[np.ndarray, list]:
    """A class whose rows are one vector, and another class with a copy of it."""
    rows, _ = clustered(5, [6], 4, 1.0)
    rows[1] = rows[2] = rows[0]
    return rows, [0, 0, 1, 1, 2, 2]


BATCHES = {
    "P x K": clustered(0, [4] * 4, 8, 0.9),
    "uneven classes, some of one row": clustered(1, [5, 3, 2, 1, 1], 6, 0.7),
    "hard: classes overlap": clustered(2, [4] * 4, 8, 6.0),
    "easy: classes far apart": clustered(3, [3] * 4, 16, 0.02),
    "one class": clustered(4, [5], 4, 1.0),
    "no positives": clustered(6, [1] * 6, 4, 1.0),
    "duplicate rows": duplicated(),
}
SETTINGS = [
    {"alpha": 2.0, "beta": 50.0, "base": 0.5, "epsilon": 0.1},
    {"alpha": 2.0, "beta": 50.0, "base": 0.5, "epsilon": None},
    {"alpha": 2.0, "beta": 40.0, "base": 0.5, "epsilon": 0.1},
    {"alpha": 2.0, "beta": 50.0, "base": 1.0, "epsilon": 0.3},
    {"alpha": 18.0, "beta": 75.0, "base": 0.7, "epsilon": None},
]


def reference(rows: np.ndarray, labels: list, settings: dict) -> tuple[float, list]:
    """The loss and its gradient by the rows."""
    embeddings = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
    classes = torch.tensor(labels)
    loss = MultiSimilarityLoss(settings["alpha"], settings["beta"], settings["base"])
    pairs = None
    if settings["epsilon"] is not None:
        pairs = MultiSimilarityMiner(epsilon=settings["epsilon"])(embeddings, classes)
    value = loss(embeddings, classes, pairs)
    value.backward()
    return value.item(), embeddings.grad.tolist()


def main() -> None:
    cases = []
    for name, (rows, labels) in BATCHES.items():
        results = []
        for settings in SETTINGS:
            loss, gradient = reference(rows, labels, settings)
            results.append({"settings": settings, "loss": loss, "gradient": gradient})
        cases.append(
            {"name": name, "embeddings": rows.tolist(), "labels": labels, "results": results}
        )
    made_with = {
        "torch": torch.__version__,
        "pytorch-metric-learning": pytorch_metric_learning.__version__,
    }
    content = {"made_with": made_with, "cases": cases}
    path = HERE / "pytorch_metric_learning_values.json"
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
