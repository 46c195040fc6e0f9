"""PyTorch's training step, driven turn by turn: a line in, the seconds of that many steps out.

    python step.py ARCHITECTURE SIDE BATCH [--channels-last] [--bfloat16] [--threads 2] [--cpu-time]

Each line on stdin is a number of steps; each answer on stdout is JSON. The loss is
pytorch-metric-learning's, with its miner. Where PyTorch has a GPU, it computes there, compiled.
"""

import argparse
import json
import sys
import time

import numpy as np
import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.miners import MultiSimilarityMiner
from resnet import Embedder, parameter_groups

PHOTOS_PER_PRODUCT = 4


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("architecture")
    parser.add_argument("side", type=int)
    parser.add_argument("batch", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--cpu-time", action="store_true", help="processor's seconds instead")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    layout = torch.channels_last if arguments.channels_last else torch.contiguous_format
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = Embedder(arguments.architecture, 64, 512).to(device, memory_format=layout)
    embed = torch.compile(model) if device.type == "cuda" else model
    now = time.process_time if arguments.cpu_time else time.perf_counter
    shape = (arguments.batch, 3, arguments.side, arguments.side)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    photos = torch.from_numpy(pixels).to(device).contiguous(memory_format=layout)
    labels = torch.arange(arguments.batch, device=device) // PHOTOS_PER_PRODUCT
    loss_of, miner = MultiSimilarityLoss(alpha=2, beta=50, base=0.5), MultiSimilarityMiner(0.1)
    optimizer = torch.optim.AdamW(parameter_groups(model, 1e-4, 10.0, 1e-4))

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=arguments.bfloat16):
            embeddings = embed(photos)
        embeddings = embeddings.float()
        loss = loss_of(embeddings, labels, miner(embeddings, labels))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()

    for line in sys.stdin:
        start = now()
        for _ in range(int(line)):
            step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        print(json.dumps({"seconds": now() - start}), flush=True)


if __name__ == "__main__":
    main()
