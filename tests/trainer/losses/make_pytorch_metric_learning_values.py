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
from pytorch_metric_learning import losses
from pytorch_metric_learning.distances import DotProductSimilarity, LpDistance
from pytorch_metric_learning.miners import BatchHardMiner, MultiSimilarityMiner, TripletMarginMiner
from pytorch_metric_learning.reducers import MeanReducer
from pytorch_metric_learning.utils.loss_and_miner_utils import (
    convert_to_pos_pairs_with_unique_labels,
)

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
    loss = losses.MultiSimilarityLoss(settings["alpha"], settings["beta"], settings["base"])
    pairs = None
    if settings["epsilon"] is not None:
        pairs = MultiSimilarityMiner(epsilon=settings["epsilon"])(embeddings, classes)
    value = loss(embeddings, classes, pairs)
    value.backward()
    return value.item(), embeddings.grad.tolist()


def proxies_for(labels: list, dim: int, centres: int) -> np.ndarray:
    return np.random.default_rng(7).normal(size=((max(labels) + 1) * centres, dim))


def nearest_semi_hard(embeddings: torch.Tensor, labels: torch.Tensor, margin: float) -> tuple:
    """Of the miner's triplets, for each positive pair the one with the nearest negative."""
    squared = LpDistance(power=2)
    miner = TripletMarginMiner(margin, type_of_triplets="semihard", distance=squared)
    distance, nearest = squared(embeddings, embeddings), {}
    for a, p, n in zip(*(indices.tolist() for indices in miner(embeddings, labels)), strict=True):
        best = nearest.get((a, p))
        if best is None or distance[a, n] < distance[a, best]:
            nearest[a, p] = n
    triplets = [(a, p, n) for (a, p), n in nearest.items()]
    return tuple(torch.tensor(indices) for indices in zip(*triplets, strict=True))


def family(name: str, options: dict, embeddings: torch.Tensor, labels: torch.Tensor) -> tuple:
    """pytorch-metric-learning's loss for our name and options; the indices that it was given."""
    dim, margin = embeddings.shape[1], options.get("margin")
    if name == "contrastive":
        return losses.ContrastiveLoss(options["positive_margin"], margin), None
    if name == "triplet_batch_hard":
        soft = margin is None
        loss = losses.TripletMarginLoss(margin or 0, smooth_loss=soft, reducer=MeanReducer())
        return loss, BatchHardMiner()(embeddings, labels)
    if name == "triplet_semi_hard":
        loss = losses.TripletMarginLoss(margin, distance=LpDistance(power=2))
        return loss, nearest_semi_hard(embeddings.detach(), labels, margin)
    if name == "n_pair":
        return losses.NPairsLoss(distance=DotProductSimilarity(normalize_embeddings=False)), None
    if name == "nt_xent":
        return losses.NTXentLoss(options["temperature"]), None
    if name == "supcon":
        return losses.SupConLoss(options["temperature"]), None
    if name == "circle":
        return losses.CircleLoss(margin, options["gamma"]), None
    if name == "smooth_ap":
        return losses.SmoothAPLoss(options["temperature"]), None
    classes, centres = max(labels.tolist()) + 1, options.get("centres_per_class", 1)
    if name == "proxy_anchor":
        loss = losses.ProxyAnchorLoss(classes, dim, options["delta"], options["alpha"])
    elif name == "proxy_nca":
        loss = losses.ProxyNCALoss(classes, dim, softmax_scale=1 / options["temperature"])
    elif name == "arcface":
        degrees, scale = np.degrees(margin), options["scale"]
        kind, more = losses.ArcFaceLoss, {}
        if centres > 1:
            kind, more = losses.SubCenterArcFaceLoss, {"sub_centers": centres}
        loss = kind(num_classes=classes, embedding_size=dim, margin=degrees, scale=scale, **more)
    rows = torch.tensor(proxies_for(labels.tolist(), dim, centres), dtype=torch.float64)
    if name == "arcface":
        loss.W.data = rows.T.contiguous()
    else:
        loss.proxies.data = rows
    return loss, None


FAMILY = [
    ("contrastive", {"margin": 1.0, "positive_margin": 0.0, "power": 1}),
    ("contrastive", {"margin": 0.7, "positive_margin": 0.2, "power": 1}),
    ("triplet_batch_hard", {"margin": 0.2}),
    ("triplet_batch_hard", {"margin": None}),
    ("triplet_semi_hard", {"margin": 0.2}),
    ("n_pair", {"temperature": 1.0}),
    ("nt_xent", {"temperature": 0.1}),
    ("nt_xent", {"temperature": 0.07}),
    ("supcon", {"temperature": 0.1}),
    ("circle", {"margin": 0.4, "gamma": 80.0}),
    ("circle", {"margin": 0.25, "gamma": 256.0}),
    ("smooth_ap", {"temperature": 0.01}),
    ("proxy_anchor", {"alpha": 32.0, "delta": 0.1}),
    ("proxy_nca", {"temperature": 1 / 9}),
    ("arcface", {"margin": 0.5, "scale": 64.0}),
    ("arcface", {"margin": 1.2, "scale": 16.0, "centres_per_class": 2}),
]
FAMILY_BATCHES = ("P x K", "uneven classes, some of one row")


def family_values() -> dict:
    """The other losses, at two batches; Smooth-AP, which wants equal classes, at the first."""
    batches, results = {}, []
    for batch in FAMILY_BATCHES:
        rows, labels = BATCHES[batch]
        order = np.argsort(labels, kind="stable")  # Smooth-AP wants classes together
        # Inner products small enough for N-pair's softmax; the others normalise.
        rows, labels = rows[order] / np.float32(4), [labels[row] for row in order]
        classes = torch.tensor(labels)
        anchors, positives = convert_to_pos_pairs_with_unique_labels(None, classes)
        batches[batch] = {
            "embeddings": rows.tolist(),
            "labels": labels,
            "n_pairs": [anchors.tolist(), positives.tolist()],
        }
        for name, options in FAMILY:
            if name == "smooth_ap" and batch != FAMILY_BATCHES[0]:
                continue
            embeddings = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
            loss, indices = family(name, options, embeddings, classes)
            value = loss(embeddings, classes, indices)
            value.backward()
            result = {"loss_name": name, "batch": batch, "options": options}
            result |= {"loss": value.item(), "gradient": embeddings.grad.tolist()}
            for proxies in loss.parameters():
                turned = name == "arcface"
                for key, matrix in (("proxies", proxies.data), ("proxy_gradient", proxies.grad)):
                    result[key] = (matrix.T if turned else matrix).tolist()
            results.append(result)
    return {"batches": batches, "results": results}


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
    content = {"made_with": made_with, "cases": cases, "family": family_values()}
    path = HERE / "pytorch_metric_learning_values.json"
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
