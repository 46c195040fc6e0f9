"""A small, real release: a random network over generated photos, made by the publisher itself."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw

from function.manifest import Manifest
from function.release import read_manifest
from function.storage import open_storage
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog

if TYPE_CHECKING:
    # JAX takes seconds to import, and every test run loads this module.
    from trainer.model.embedder import Embedder

IMAGE_SIZE = 32
PRODUCTS = 6
PHOTOS_PER_PRODUCT = 2


@dataclass(frozen=True)
class TinyRelease:
    """What the `tiny_release` fixture made.

    Attributes:
        root: the local folder with releases/, images/ and current.json. Tests only read it.
        release_id: the one release in it.
        catalog: 6 products `p0`…`p5` with 2 photos each, 400×300 JPEG; the first photo of `p0` has
            the URL https://shop.example/p0.jpg. One query photo of `p1`. Labels `shape` round (odd
        numbers) and square; product set `first` of the first three.
        model: the random network.
    """

    root: Path
    release_id: str
    catalog: Catalog
    model: "Embedder"

    @property
    def manifest(self) -> Manifest:
        """What it says about itself."""
        return read_manifest(open_storage(self.root), self.release_id)


def draw_photo(product: int, view: int) -> Image.Image:
    """A product is two colours and a shape; its views differ in place and size."""
    random = np.random.default_rng(product)
    background, colour = (tuple(map(int, random.integers(0, 256, 3))) for _ in range(2))
    image = Image.new("RGB", (400, 300), background)
    left, top, size = 90 + 30 * view, 40 + 20 * view, 160 - 10 * view
    box = (left, top, left + size, top + size)
    draw = ImageDraw.Draw(image)
    (draw.ellipse if product % 2 else draw.rectangle)(box, fill=colour)
    return image


def write_tiny_catalog(folder: Path) -> Catalog:
    """Write photos and their metadata.csv, and open them."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = ("path", "product_id", "image_url", "title", "category", "price", "labels")
    fields += ("product_set", "role")
    with (folder / "metadata.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, fields)
        table.writeheader()
        for product in range(PRODUCTS):
            for view in range(PHOTOS_PER_PRODUCT):
                path = f"p{product}/view{view}.jpg"
                (folder / path).parent.mkdir(exist_ok=True)
                draw_photo(product, view).save(folder / path)
                url = "https://shop.example/p0.jpg" if (product, view) == (0, 0) else ""
                table.writerow(
                    {
                        "path": path,
                        "product_id": f"p{product}",
                        "image_url": url,
                        "title": f"Product {product}",
                        "category": "shapes",
                        "price": f"{product}.00 EUR",
                        "labels": "shape=round" if product % 2 else "shape=square",
                        "product_set": "first" if product < 3 else "",
                        "role": "catalog",
                    }
                )
        draw_photo(1, 2).save(folder / "query.jpg")
        table.writerow({"path": "query.jpg", "product_id": "p1", "role": "query"})
    return open_catalog(folder)


def tiny_model(seed: int = 0) -> "Embedder":
    """A random ResNet-18 of an eighth of the width, in inference mode."""
    from flax import nnx

    from trainer.model.config import ModelConfig
    from trainer.model.embedder import Embedder

    config = ModelConfig(architecture="resnet18", width=8, embedding_dim=16)
    model = Embedder(config, rngs=nnx.Rngs(seed))
    model.eval()
    return model


@pytest.fixture(scope="session")
def tiny_catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Generated photos, as `TinyRelease.catalog`."""
    return write_tiny_catalog(tmp_path_factory.mktemp("tiny") / "catalog")


@pytest.fixture(scope="session")
def tiny_release(tiny_catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> TinyRelease:
    """A release of `tiny_catalog`, published into a local folder, shared by all tests."""
    from trainer.release.publish import publish

    root = tmp_path_factory.mktemp("tiny-root")
    model = tiny_model()
    evaluation = {"leave_one_out": {"recall_at_1": 0.5}, "query_to_catalog": None}
    release_id = publish(model, IMAGE_SIZE, tiny_catalog, str(root), evaluation=evaluation)
    return TinyRelease(root, release_id, tiny_catalog, model)
