"""Write recall_at_k_values.json: what the authors' code of the recall@k surrogate gives.

It has no package, and is not part of this project. The values are made once, elsewhere:

    git clone https://github.com/yash0307/RecallatK_surrogate CHECKOUT
    git -C CHECKOUT checkout 416ea278ad45c6f5b03e66779e417cd66cbb1410
    elsewhere/bin/python tests/trainer/losses/make_recall_at_k_values.py CHECKOUT

with the environment of make_pytorch_metric_learning_values.py. There an anchor is ranked among its
own results, before all others, so that k + 1 of theirs is our k, and their recall is divided by
what k + 1 places can hold: each k is asked alone, and divided again. All is computed in float64.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

CLASSES, ROWS_EACH, DIM = 4, 4, 8
# Theirs takes the batch's size where a k is larger.
LARGEST_K = (1, 2, 8)
# The larger, the less an anchor is wholly before the others.
TEMPERATURES = (0.01, 0.005)


def main(checkout: Path) -> None:
    sys.path.insert(0, str(checkout / "src"))
    from losses import RecallatK  # the authors'

    # It is written for GPUs and float32.
    torch.Tensor.cuda = lambda self: self.double()
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), ROWS_EACH)
    centres = random.normal(size=(CLASSES, DIM))
    rows = (centres[labels] + 2.0 * random.normal(size=(labels.size, DIM))).astype(np.float32)
    results = []
    for largest in LARGEST_K:
        for temperature in TEMPERATURES:
            embeddings = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
            unit = torch.nn.functional.normalize(embeddings)
            costs = []
            for k in (2**power for power in range(largest.bit_length())):
                loss = RecallatK(temperature, labels.size, CLASSES, DIM, [k + 1], [1.0], False)
                theirs, ours = min(k + 1, ROWS_EACH - 1), min(k, ROWS_EACH - 1)
                for anchor in range(labels.size):
                    recall = 1 - labels.size * loss(unit, anchor)
                    costs.append(1 - recall * theirs / ours)
            value = torch.stack(costs).mean()
            value.backward()
            results.append(
                {
                    "options": {"largest_k": largest, "rank_temperature": temperature},
                    "loss": value.item(),
                    "gradient": embeddings.grad.tolist(),
                }
            )
    stored = {
        "made_with": {
            "torch": torch.__version__,
            "code": "416ea278ad45c6f5b03e66779e417cd66cbb1410",
        },
        "embeddings": rows.tolist(),
        "labels": labels.tolist(),
        "results": results,
    }
    Path(__file__).with_name("recall_at_k_values.json").write_text(json.dumps(stored))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
