"""What an update takes beside a full publication of the changed catalogue, and that both agree.

    python -m tests.benchmarks.update --photos 6000 --changed 0.01 0.1

Drawn photos, 512×384 JPEG, three of each product, and a random network: what it finds is as hard to
tell apart as what a trained one does, and takes as long. Of the products a share is changed: half
of these get other photos, a quarter goes, and a quarter is new. Photos have addresses, so none are
stored: that would only widen the gap. Each share is published by an
update of the same base and in full, one after the other, into roots on the local disk; both answer
the same queries.
"""

import argparse
import csv
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from flax import nnx
from PIL import Image, ImageDraw

from function.file_catalog import open_catalog as open_products
from function.index import StoredIndex, open_index
from function.manifest import CATALOG, INDEX, Manifest
from function.ranking import rank_products
from function.release import read_manifest
from function.storage import open_storage
from tests.benchmarks.timing import Row, report
from trainer.data.catalog import open_catalog
from trainer.data.changes import open_changes
from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.release.kept import load_kept
from trainer.release.publish import publish
from trainer.release.update import update

VIEWS = 3
QUERIES = 200

type Listing = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=6000)
    parser.add_argument("--changed", type=float, nargs="+", default=[0.01, 0.1])
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--image-size", type=int, default=224)
    options = parser.parse_args()
    config = ModelConfig(architecture=options.architecture, embedding_dim=256)
    model = Embedder(config, rngs=nnx.Rngs(0))
    model.eval()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as scratch:
        folder = Path(scratch)
        products = [f"p{number}" for number in range(options.photos // VIEWS)]
        rows = {name: draw(folder, name) for name in products}

        def publish_all(root: Path, listed: dict[str, list[Listing]]) -> str:
            write(folder / "catalog.csv", [row for several in listed.values() for row in several])
            catalog = open_catalog(folder / "catalog.csv")
            return publish(
                model, options.image_size, catalog, str(root), evaluation={}, precision="float"
            )

        base = folder / "base"
        publish_all(base, rows)
        table: list[Row] = []
        for share in options.changed:
            changed, changes = change(folder, rows, share)
            write(folder / "changes.csv", changes)
            root, full = folder / "updated", folder / "full"
            shutil.copytree(base, root)
            told, update_seconds = timed(
                lambda root=root: update(open_changes(folder / "changes.csv"), str(root))
            )
            release_id, full_seconds = timed(
                lambda full=full, changed=changed: publish_all(full, changed)
            )
            one, other = Opened(root, told.release_id), Opened(full, release_id)
            queries = load_kept(other.folder).vectors[:: max(1, options.photos // QUERIES)]
            table.append(
                {
                    "products changed": f"{share:.0%}",
                    "photos embedded": told.embedded,
                    "of": one.manifest.counts.images,
                    "update, s": update_seconds,
                    "full, s": full_seconds,
                    "ratio": update_seconds / full_seconds,
                    "index": f"{one.manifest.index.kind}, {other.manifest.index.kind}",
                    "recall@10": f"{one.manifest.index.recall_at_10:.3f}, "
                    f"{other.manifest.index.recall_at_10:.3f}",
                    "same ten products": float(np.mean([same(one, other, q) for q in queries])),
                }
            )
            shutil.rmtree(root)
            shutil.rmtree(full)
    title = f"{options.architecture} at {options.image_size} px, {options.photos:,} photos"
    report("update", title, table)


def draw(folder: Path, product: str, first: int = 0) -> list[Listing]:
    """Draw a product's photos: lines, ellipses and boxes of its own, moved from view to view."""
    random = np.random.default_rng([first, *product.encode()])
    shapes = random.integers(0, 384, (12, 4))
    colours = random.integers(0, 256, (13, 3))
    rows = []
    for view in range(first, first + VIEWS):
        image = Image.new("RGB", (512, 384), tuple(map(int, colours[-1])))
        brush = ImageDraw.Draw(image)
        for number, (x, y, width, height) in enumerate((shapes + 9 * view).tolist()):
            box = (x, y, x + width // 2 + 9, y + height // 2 + 9)
            fill = tuple(map(int, colours[number]))
            (brush.ellipse if number % 2 else brush.rectangle)(box, fill=fill)
        name = f"{product}-{view}.jpg"
        image.save(folder / name, quality=88)
        url = f"https://shop.example/{name}"
        rows.append({"product_id": product, "image": name, "image_url": url, "title": product})
    return rows


def change(
    folder: Path, rows: dict[str, list[Listing]], share: float
) -> tuple[dict[str, list[Listing]], list[Listing]]:
    """Change a share of the products; the listing afterwards, and that of the changes."""
    names = list(rows)
    random = np.random.default_rng(0)
    chosen = random.permutation(len(names))[: max(4, round(share * len(names)))]
    picked = [names[number] for number in np.sort(chosen)]
    changed, changes = dict(rows), list[Listing]()
    for place, name in enumerate(picked):
        if place % 4 < 2:
            changed[name] = draw(folder, name, first=VIEWS)
            changes += [{**row, "change": "change"} for row in changed[name]]
        elif place % 4 == 2:
            del changed[name]
            changes.append({"product_id": name, "image": "", "change": "remove"})
        else:
            changed[f"new-{name}"] = draw(folder, f"new-{name}")
            changes += [{**row, "change": "add"} for row in changed[f"new-{name}"]]
    return changed, changes


def write(path: Path, rows: list[Listing]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["product_id", "image", "image_url", "title", "change"])
        if path.stem == "catalog":
            table = csv.DictWriter(file, ["product_id", "image", "image_url", "title"])
        table.writeheader()
        table.writerows(rows)


def timed[T](work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


class Opened:
    """A release's index and catalogue."""

    def __init__(self, root: Path, release_id: str) -> None:
        self.manifest: Manifest = read_manifest(open_storage(root), release_id)
        self.folder = root / "releases" / release_id
        self.index: StoredIndex = open_index(self.folder / INDEX, self.manifest.index.kind)
        self.catalog = open_products(self.folder / CATALOG)

    def answer(self, query: np.ndarray) -> list[str]:
        ranking = rank_products(SearchableRows(self.index, self.catalog), query, 10)
        images = self.catalog.images([item.rows[0] for item in ranking])
        return [image.product_id for image in images]


def same(one: Opened, other: Opened, query: np.ndarray) -> float:
    """The share of ten products that both find."""
    found = [set(opened.answer(query)) for opened in (one, other)]
    return len(found[0] & found[1]) / len(found[0] | found[1])


if __name__ == "__main__":
    main()
