"""What looking for things in a photo gains and costs: `maxObjects`, beside the photo as it is.

    python -m tests.benchmarks.objects --data FOLDER --weights WEIGHTS.npz [--most 400]

With ImageNet's ResNet-50 at 224 pixels, by the function's own code, exact search, and R@1 of

    grocery       phone photos taken in shops, to the 41 pictures of the catalogue
    luma          other views of a clothes shop's 193 products, to the first of each
    emoji         drawings of other vendors, pasted small on photos of clothes, to one vendor's 769
    studio        two or three synthetic products on one ground, plain or a photo of clothes; each
                  is one query, right where the first result of the group that overlaps it most is

FOLDER has grocery.tar, luma.tar, emoji.tar and clothing.tar. Intervals are of the difference,
paired, by resampling products.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from flax import nnx
from numpy.typing import NDArray
from PIL import Image

from function.embedder import ExplainableEmbedder, open_embedder
from function.manifest import EMBEDDER_ONNX, ModelInfo
from function.objects import MAX_OBJECTS, ObjectFinder, overlap
from function.photo import load_pixels
from function.region import WHOLE, Box, Region
from tests.benchmarks.timing import Row, report, time_calls
from tests.indices import photo_index
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog
from trainer.data.studio import make_product, photograph
from trainer.data.studio.render import render, silhouette
from trainer.data.studio.scene import CATALOG_PHOTOS, make_scene
from trainer.evaluation.bootstrap import percentile_interval, resampled_means
from trainer.model.embedder import Embedder
from trainer.model.pretrained import load_pretrained, pretrained_config
from trainer.progress import track
from trainer.release.program import export_onnx

SIZE = 224
SIDE = 448  # of composed photos, in pixels
STUDIO_PRODUCTS, STUDIO_SEED = 60, 7


@dataclass(frozen=True)
class Query:
    """A photo, what it shows, and where, if that is known."""

    photo: bytes
    things: tuple[tuple[str, Box | None], ...]


@dataclass(frozen=True)
class Task:
    """Photos to find, by product, and queries."""

    catalog: list[tuple[str, bytes]]
    queries: list[Query]


def encoded(image: Image.Image) -> bytes:
    output = BytesIO()
    image.save(output, "JPEG", quality=90)
    return output.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data)).convert("RGB")


def grounds(data: Path, count: int) -> Iterator[Image.Image]:
    """Photos of people's clothes, square."""
    catalog = open_catalog(data / "clothing.tar")
    chosen = np.random.default_rng(2).choice(len(catalog.photos), count, replace=False)
    for number in chosen:
        yield opened(catalog.read(catalog.photos[number])).resize((SIDE, SIDE))


def by_role(catalog: Catalog, role: str) -> list[tuple[str, bytes]]:
    return [(p.product_id, catalog.read(p)) for p in catalog.photos if p.role == role]


def few(items: list[tuple[str, bytes]], most: int) -> list[tuple[str, bytes]]:
    """Evenly chosen ones."""
    places = np.linspace(0, len(items) - 1, min(most, len(items))).astype(int)
    return [items[place] for place in places]


def grocery(data: Path, most: int) -> Task:
    catalog = open_catalog(data / "grocery.tar")
    queries = few(by_role(catalog, "query"), most)
    return Task(by_role(catalog, "catalog"), [Query(x, ((name, None),)) for name, x in queries])


def luma(data: Path, most: int) -> Task:
    photos = by_role(open_catalog(data / "luma.tar"), "catalog")
    first = dict(reversed(photos))
    others = [(name, photo) for name, photo in photos if photo is not first[name]]
    return Task(list(first.items()), [Query(x, ((name, None),)) for name, x in few(others, most)])


def emoji(data: Path, most: int) -> Task:
    catalog = open_catalog(data / "emoji.tar")
    random = np.random.default_rng(1)
    chosen = few(by_role(catalog, "query"), most)
    queries = []
    for (name, photo), ground in zip(chosen, grounds(data, len(chosen)), strict=True):
        side = int(SIDE * random.uniform(0.35, 0.65))
        drawing = opened(photo).resize((side, side))
        # They stand on white.
        mask = Image.fromarray(((np.asarray(drawing).min(axis=2) < 244) * 255).astype(np.uint8))
        left, top = (int(x) for x in random.integers(0, SIDE - side, 2))
        ground.paste(drawing, (left, top), mask)
        box = (left / SIDE, top / SIDE, (left + side) / SIDE, (top + side) / SIDE)
        queries.append(Query(encoded(ground), ((name, box),)))
    return Task(by_role(catalog, "catalog"), queries)


def studio(plain: bool, data: Path, most: int) -> Task:
    shown = [
        (str(product), encoded(Image.fromarray(photograph(STUDIO_SEED, product, view, 160))))
        for product in range(STUDIO_PRODUCTS)
        for view in CATALOG_PHOTOS
    ]
    random = np.random.default_rng(5)
    queries = []
    for number, ground in enumerate(grounds(data, most)):
        if plain:
            tone = tuple(int(x) for x in random.integers(180, 256, 3))
            ground = Image.new("RGB", (SIDE, SIDE), tone)
        count = 2 + number % 2
        products = random.choice(STUDIO_PRODUCTS, count, replace=False)
        taken: list[Box] = []
        for product in products:
            taken.append(place(ground, int(product), count, taken, random))
        things = tuple(zip(map(str, products), taken, strict=True))
        queries.append(Query(encoded(ground), things))
    return Task(shown, queries)


def place(
    ground: Image.Image, product: int, count: int, taken: list[Box], random: np.random.Generator
) -> Box:
    """Paste a customer's view of a product where nothing is yet; return where."""
    side = int(SIDE * random.uniform(0.36, 0.5 if count == 2 else 0.42))
    made, scene = make_product(STUDIO_SEED, product), make_scene(STUDIO_SEED, product, 1)
    mask = Image.fromarray(silhouette(made, scene, side)).resize((side, side), Image.Resampling.BOX)
    left, top, right, bottom = mask.getbbox()
    while True:
        x, y = (int(at) for at in random.integers(0, SIDE - side + 1, 2))
        box = ((x + left) / SIDE, (y + top) / SIDE, (x + right) / SIDE, (y + bottom) / SIDE)
        if all(overlap(box, other) == 0 for other in taken):
            break
    ground.paste(Image.fromarray(render(made, scene, side)), (x, y), mask)
    return box


def imagenet(weights: Path, folder: Path) -> ExplainableEmbedder:
    model = load_pretrained(weights, Embedder(pretrained_config(weights), rngs=nnx.Rngs(0)))
    model.eval()
    export_onnx(model, folder / EMBEDDER_ONNX, image_size=SIZE)
    embedder = open_embedder(folder, "openvino")
    assert isinstance(embedder, ExplainableEmbedder)
    return embedder


@dataclass(frozen=True)
class Found:
    """For each thing of each query: whose it is, whether it came first, and how well its box fits.

    `whole` is by the photo as it is, `one` and `all` with so many objects, and `group` by the group
    of the box that fits best.
    """

    product: list[str]
    whole: list[bool]
    one: list[bool]
    all: list[bool]
    group: list[bool]
    fit: list[float]
    boxes: list[int]


def measure(task: Task, embedder: ExplainableEmbedder) -> Found:
    def vector(photo: bytes, box: Box = WHOLE) -> NDArray[np.float32]:
        pixels = load_pixels(photo, SIZE, region=Region(*box, normalized=True))
        return embedder.embed(pixels[None])[0]

    names = np.array([name for name, _ in task.catalog])
    rows = np.stack(
        [vector(photo) for _, photo in track(task.catalog, "Catalogue", len(task.catalog))]
    )
    info = ModelInfo("imagenet", "resnet50", rows.shape[1], SIZE, "average")
    finder = ObjectFinder(embedder, photo_index(rows), info)
    found = Found([], [], [], [], [], [], [])
    for query in track(task.queries, "Queries", len(task.queries)):
        boxes = finder.boxes(load_pixels(query.photo, SIZE), MAX_OBJECTS)
        scores = np.stack([rows @ vector(query.photo, box) for box in (WHOLE, *boxes)])
        found.boxes.append(len(boxes))
        firsts = [names[scores[:tries].max(axis=0).argmax()] for tries in (1, 2, 1 + MAX_OBJECTS)]
        for name, box in query.things:
            fits = [overlap(box or WHOLE, other) for other in boxes]
            best = int(np.argmax(fits)) if boxes else -1
            found.product.append(name)
            for answers, first in zip((found.whole, found.one, found.all), firsts, strict=True):
                answers.append(first == name)
            found.fit.append(max(fits, default=0.0) if box else float("nan"))
            found.group.append(bool(names[scores[1 + best].argmax()] == name))
    return found


def difference(product: list[str], one: list[bool], other: list[bool]) -> str:
    """Of two recalls, in points, with its interval."""
    _, cluster = np.unique(product, return_inverse=True)
    gain = np.array(one, float) - np.array(other, float)
    weights = np.bincount(cluster).astype(float)
    means = resampled_means(np.bincount(cluster, gain)[:, None], weights)
    (low,), (high,) = percentile_interval(means, means)
    return f"{100 * gain.mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--most", type=int, default=400, help="queries of each task")
    parser.add_argument("--composites", type=int, default=50, help="on each ground")
    arguments = parser.parse_args()
    tasks = {
        "grocery": lambda: grocery(arguments.data, arguments.most),
        "luma": lambda: luma(arguments.data, arguments.most),
        "emoji": lambda: emoji(arguments.data, arguments.most),
        "studio, plain": lambda: studio(True, arguments.data, arguments.composites),
        "studio, photo": lambda: studio(False, arguments.data, arguments.composites),
    }
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        embedder = imagenet(arguments.weights, Path(folder))
        for name, make in tasks.items():
            found = measure(make(), embedder)
            rows.append(
                {
                    "task": name,
                    "queries": len(found.product),
                    "photo R@1, %": f"{100 * np.mean(found.whole):.1f}",
                    "maxObjects 1, points": difference(found.product, found.one, found.whole),
                    f"maxObjects {MAX_OBJECTS}": difference(found.product, found.all, found.whole),
                    "groups": f"{np.mean(found.boxes):.1f}",
                    "by its group, %": f"{100 * np.mean(found.group):.1f}",
                    "IoU": f"{np.mean(found.fit):.2f}",
                    "IoU above 0.3, %": f"{100 * np.mean(np.array(found.fit) > 0.3):.0f}",
                }
            )
            report("objects", "Things found in a photo", rows)
        noise = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3)).astype(np.uint8)
        index = photo_index(np.eye(2048, dtype=np.float32)[:1000])
        finder = ObjectFinder(embedder, index, ModelInfo("m", "resnet50", 2048, SIZE, "average"))
        plain, boxes = time_calls(
            lambda: embedder.embed(noise), lambda: finder.boxes(noise[0], MAX_OBJECTS)
        )
        print(f"An inference {plain.p50:.1f} ms; finding the boxes {boxes.p50:.1f} ms")


if __name__ == "__main__":
    main()
