"""The server that one writes first: Flask, Pillow, a torch ResNet-50, FAISS; one process, threads.

    PEER_FOLDER=… PEER_DTYPE=float32|bfloat16 gunicorn --workers 1 --threads 8 serve_torch:app

PEER_FOLDER: `torch.npz` (torchvision's names, and `mean`, RGB), `flat.faiss` (inner products) and
`products.json` (for each row its product, and its image's address). float32 runs at channels_last,
the faster layout; bfloat16 by autocast.
"""

import json
import os
from io import BytesIO
from pathlib import Path

import faiss
import flask
import numpy as np
import torch
from PIL import Image
from resnet import Embedder

SIDE = 224
FOLDER = Path(os.environ["PEER_FOLDER"])
HALF = os.environ["PEER_DTYPE"] == "bfloat16"


def load_model() -> Embedder:
    with np.load(FOLDER / "torch.npz") as archive:
        weights = {name: torch.from_numpy(archive[name]) for name in archive.files}
    model = Embedder("resnet50", 64, weights["fc.bias"].numel(), v1=True)
    model.mean.copy_(weights.pop("mean").view(1, 3, 1, 1))
    model.deviation.fill_(1)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected, unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing), missing
    return model.to(memory_format=torch.channels_last).eval()


app = flask.Flask(__name__)
model = load_model()
index = faiss.read_index(str(FOLDER / "flat.faiss"))
products = json.loads((FOLDER / "products.json").read_text())


@app.post("/v1/products:search")
def search() -> flask.Response:
    image = Image.open(BytesIO(flask.request.files["image"].read())).convert("RGB")
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    batch = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=HALF):
        vector = model(batch.contiguous(memory_format=torch.channels_last)).float().numpy()
    scores, rows = index.search(vector, 40)
    results = {}
    for row, score in zip(rows[0].tolist(), scores[0].tolist(), strict=True):
        product, url = products[row]
        results.setdefault(product, {"product": product, "score": score, "imageUrl": url})
    return flask.jsonify(results=list(results.values())[:10])
