"""The server that one writes for speed: FastAPI, Pillow, ONNX Runtime, hnswlib; one process.

    PEER_FOLDER=… uvicorn serve_onnx:app

PEER_FOLDER: `embedder.onnx` (uint8 [batch, 224, 224, 3] -> unit rows), `hnsw.bin`, `products.json`
(for each row its product, and its image's address).
"""

import json
import os
from io import BytesIO
from pathlib import Path

import hnswlib
import numpy as np
import onnxruntime
from fastapi import FastAPI, UploadFile
from PIL import Image

SIDE, EF = 224, 128
FOLDER = Path(os.environ["PEER_FOLDER"])

app = FastAPI()
session = onnxruntime.InferenceSession(FOLDER / "embedder.onnx")
products = json.loads((FOLDER / "products.json").read_text())
index = hnswlib.Index("ip", session.get_outputs()[0].shape[1])
index.load_index(str(FOLDER / "hnsw.bin"))
index.set_ef(EF)


@app.post("/v1/products:search")
def search(image: UploadFile) -> dict[str, list[dict[str, object]]]:
    photo = Image.open(BytesIO(image.file.read())).convert("RGB")
    pixels = np.asarray(photo.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    (vector,) = session.run(["embedding"], {"pixels": pixels[None]})
    rows, distances = index.knn_query(vector, 40, num_threads=1)
    results: dict[str, dict[str, object]] = {}
    for row, distance in zip(rows[0].tolist(), distances[0].tolist(), strict=True):
        product, url = products[row]
        results.setdefault(product, {"product": product, "score": 1 - distance, "imageUrl": url})
    return {"results": list(results.values())[:10]}
