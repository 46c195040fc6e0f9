"""Train with PyTorch and pytorch-metric-learning on batches that lie in a file; write vectors.

    python quality.py INPUTS.npz BATCHES.npy VECTORS.npy

INPUTS: `settings` (JSON), `labels` [steps, batch], `rates` [steps], `evaluation` [n, side, side, 3]
and the network's first arrays as `weights/NAME`, torchvision's. BATCHES: uint8 [steps, batch, side,
side, 3]. Prints seconds and the last loss.
"""

import json
import sys
import time

import numpy as np
import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.miners import MultiSimilarityMiner
from resnet import Embedder, parameter_groups

EVALUATION_BATCH = 64


def photos(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2)


def main() -> None:
    inputs, batches_path, vectors_path = sys.argv[1:]
    with np.load(inputs) as archive:
        found = dict(archive)
    settings = json.loads(str(found["settings"]))
    batches = np.load(batches_path, mmap_mode="r")
    torch.set_num_threads(settings["threads"])
    model = Embedder(settings["architecture"], settings["width"], settings["embedding_dim"])
    weights = {
        name.removeprefix("weights/"): torch.from_numpy(array)
        for name, array in found.items()
        if name.startswith("weights/")
    }
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected, unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing), missing
    model = model.to(memory_format=torch.channels_last).train()
    groups = parameter_groups(
        model, 1.0, settings["head_learning_rate_factor"], settings["weight_decay"]
    )
    factors = [group["lr"] for group in groups]
    optimizer = torch.optim.AdamW(groups)
    loss_of, miner = MultiSimilarityLoss(alpha=2, beta=50, base=0.5), MultiSimilarityMiner(0.1)
    start = time.perf_counter()
    for pixels, labels, rate in zip(batches, found["labels"], found["rates"], strict=True):
        for group, factor in zip(optimizer.param_groups, factors, strict=True):
            group["lr"] = factor * float(rate)
        embeddings = model(photos(pixels))
        numbers = torch.from_numpy(labels)
        loss = loss_of(embeddings, numbers, miner(embeddings, numbers))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"])
        optimizer.step()
    seconds = time.perf_counter() - start
    model.eval()
    with torch.no_grad():
        vectors = [
            model(photos(found["evaluation"][first : first + EVALUATION_BATCH])).numpy()
            for first in range(0, len(found["evaluation"]), EVALUATION_BATCH)
        ]
    np.save(vectors_path, np.concatenate(vectors))
    print(json.dumps({"seconds": seconds, "loss": float(loss.detach())}))


if __name__ == "__main__":
    main()
