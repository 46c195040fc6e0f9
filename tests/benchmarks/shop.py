"""A shop in Stanford Online Products' size for the serving benchmarks: 60,502 real embeddings.

    python -m tests.benchmarks.shop     makes it, once; other benchmarks call `open_shop`

The photos are those of the packs that the tests use, and the studio's products; each gives some
crops, and each crop is a row. ImageNet's ResNet-50 embeds them at 224 pixels, with the 512
principal components of its pooled features as its head. Some photos are kept apart: their crops
are the queries, so that none shares a photo with a row. All of it lies in .cache/benchmarks/shop.
"""

import json
import os
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from itertools import islice
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, UInt8
from PIL import Image

from function.embedder import Embedder as Servable
from function.embedder import open_embedder
from function.photo import decode, resize_to_square
from function.release import current_release_id, set_current
from function.storage import open_storage
from tests.benchmarks.timing import FOLDER
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog, Photo
from trainer.data.studio import write_studio_catalog
from trainer.model.embedder import Embedder
from trainer.model.parameters import from_flat, to_flat
from trainer.model.pretrained import load_pretrained, pretrained_config
from trainer.progress import progress_bar
from trainer.release.assembly import assemble_release
from trainer.release.build import export_program
from trainer.release.contents import Contents
from trainer.release.embedding import EmbeddedCatalog
from trainer.release.precision import PrecisionChoice
from trainer.release.publication import upload

SHOP = FOLDER / "shop"
DATA = Path(
    os.environ.get("LOOKALIKE_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
)
PACKS = ("luma", "grocery", "emoji", "clothing")
WEIGHTS = DATA / "weights" / "resnet50_keras_imagenet_f16kernels.npz"
ROWS, QUERIES, DIM, IMAGE_SIZE = 60_502, 1_000, 512, 224
STUDIO_PRODUCTS, STUDIO_PHOTOS = 240, 12
# Photos whose pooled features the head's components come from.
HEAD_PHOTOS = 2_000
# Of every row, by chance: what filters of these selectivities let through.
SELECTIVITIES = {"half": 0.5, "tenth": 0.1, "hundredth": 0.01, "thousandth": 0.001}
_BATCH = 16


@dataclass(frozen=True)
class Crop:
    """A row or a query: which photo of which catalogue, and what part of it."""

    catalog: int
    photo: int
    seed: int


@dataclass(frozen=True)
class Shop:
    """The embeddings, and what made them.

    Attributes:
        rows: of the index.
        queries: of customers; unit vectors like the rows.
    """

    folder: Path
    rows: Float[np.ndarray, "rows 512"]
    queries: Float[np.ndarray, "queries 512"]

    @cached_property
    def catalogs(self) -> list[Catalog]:
        """Where the photos lie."""
        return _catalogs()

    @cached_property
    def model(self) -> Embedder:
        """The network, in inference mode."""
        config = replace(pretrained_config(WEIGHTS), embedding_dim=DIM)
        with np.load(self.folder / "parameters.npz") as arrays:
            return from_flat(config, dict(arrays))

    def catalog(self) -> Catalog:
        """The rows as a shop's catalogue: each photo a product, its crops the product's photos.

        Labels are drawn by seed; `SELECTIVITIES` says how many products have each.
        """
        crops = [Crop(*crop) for crop in json.loads((self.folder / "rows.json").read_text())]
        random = np.random.default_rng(0)
        labels: dict[tuple[int, int], tuple[tuple[str, str], ...]] = {}
        photos = []
        for row, crop in enumerate(crops):
            key = (crop.catalog, crop.photo)
            if key not in labels:
                drawn = random.random(len(SELECTIVITIES)) < list(SELECTIVITIES.values())
                chosen = zip(SELECTIVITIES, drawn, strict=True)
                labels[key] = tuple(("share", name) for name, has in chosen if has)
            source = self.catalogs[crop.catalog].photos[crop.photo]
            photos.append(
                Photo(
                    f"{self.catalogs[crop.catalog].name}-{crop.photo}",
                    source.image,
                    image_url=f"https://shop.example/{crop.catalog}/{crop.photo}/{row}.jpg",
                    title=source.title,
                    category=source.category,
                    labels=labels[key],
                )
            )
        return replace(self.catalogs[0], name="shop", photos=tuple(photos))

    def query_photos(self, size: tuple[int, int], count: int) -> list[bytes]:
        """JPEGs as customers send them: query crops in that size, with a camera's grain."""
        crops = [Crop(*crop) for crop in json.loads((self.folder / "queries.json").read_text())]
        # The first of each photo: all different.
        distinct = list({(crop.catalog, crop.photo): crop for crop in crops}.values())
        photos = []
        for crop in distinct[:count]:
            image = Image.fromarray(_pixels(self.catalogs, crop)).resize(
                size, Image.Resampling.BICUBIC
            )
            random = np.random.default_rng(crop.photo)
            grain = random.integers(-10, 11, (size[1], size[0], 1), np.int16)
            grainy = (np.asarray(image, np.int16) + grain).clip(0, 255).astype(np.uint8)
            file = BytesIO()
            Image.fromarray(grainy).save(file, "JPEG", quality=85)
            photos.append(file.getvalue())
        return photos


def open_shop() -> Shop:
    """Read the shop, or make it: some twenty minutes on two cores, with AVX2 alone an hour.

    Raises:
        SystemExit: the packs are not there.
    """
    if not (SHOP / "queries.json").exists():
        _make(SHOP)
    return Shop(SHOP, np.load(SHOP / "rows.npy", mmap_mode="r"), np.load(SHOP / "queries.npy"))


def shop_root(precision: PrecisionChoice = "auto") -> Path:
    """Return a root with the shop's release, published as `lookalike publish` would.

    Remove the folder to have it published anew, by changed code.

    Args:
        precision: as `publish` takes it; the int8 program embeds all rows again.
    """
    root = SHOP / f"root-{precision}"
    storage = open_storage(root)
    if current_release_id(storage) is None:
        shop = open_shop()
        with tempfile.TemporaryDirectory(dir=SHOP) as scratch:
            folder = Path(scratch)
            # Golden photos, calibration and measurement take whole photos: one pack will do.
            program = export_program(
                shop.model, IMAGE_SIZE, shop.catalogs[0], folder, precision=precision
            )
            rows = shop.rows
            if program.precision != "float":
                rows = _rows_of(open_embedder(folder, "openvino", precision=program.precision))
            embedded = EmbeddedCatalog(np.asarray(rows), (None,) * len(rows))
            contents = Contents.of(shop.catalog().photos, embedded, None)
            release = assemble_release(program, contents, folder, evaluation={})
            upload(release, storage)
            set_current(storage, release.manifest.release_id, None)
    return root


def _rows_of(embedder: Servable) -> Float[np.ndarray, "rows 512"]:
    """The rows by another program, kept by its precision."""
    path = SHOP / f"rows-{embedder.precision}.npy"
    if not path.exists():
        crops = [Crop(*crop) for crop in json.loads((SHOP / "rows.json").read_text())]
        batches = _batches(_catalogs(), crops, f"Embedding rows, {embedder.precision}")
        np.save(path, np.concatenate([embedder.embed(batch) for batch in batches]))
    return np.load(path, mmap_mode="r")


def _catalogs() -> list[Catalog]:
    missing = [path for path in (*_packs(), WEIGHTS) if not path.exists()]
    if missing:
        raise SystemExit(
            f"No {missing[0]}: the serving benchmarks need real photos and weights. "
            "LOOKALIKE_TEST_DATA says where they lie."
        )
    studio = SHOP / "studio"
    write_studio_catalog(
        studio, products=STUDIO_PRODUCTS, photos_per_product=STUDIO_PHOTOS, image_size=IMAGE_SIZE
    )
    return [*map(open_catalog, _packs()), open_catalog(studio)]


def _packs() -> list[Path]:
    return [DATA / f"{name}.tar" for name in PACKS]


def _make(folder: Path) -> None:
    catalogs = _catalogs()
    photos = [
        (number, photo)
        for number, catalog in enumerate(catalogs)
        for photo in range(len(catalog.photos))
    ]
    random = np.random.default_rng(0)
    order = [photos[place] for place in random.permutation(len(photos))]
    apart, shown = order[:QUERIES], order[QUERIES:]
    rows = [Crop(*shown[row % len(shown)], seed=row) for row in range(ROWS)]
    queries = [Crop(*photo, seed=ROWS + number) for number, photo in enumerate(apart)]
    model = _with_head(load_pretrained(WEIGHTS, _headless()), catalogs, rows[:HEAD_PHOTOS])
    program = folder / "program"
    program.mkdir(parents=True, exist_ok=True)
    export_program(model, IMAGE_SIZE, catalogs[0], program)
    embedder = open_embedder(program, "openvino")
    for name, crops in (("rows", rows), ("queries", queries)):
        vectors = [
            embedder.embed(batch) for batch in _batches(catalogs, crops, f"Embedding {name}")
        ]
        np.save(folder / f"{name}.npy", np.concatenate(vectors))
    parameters = {name: np.asarray(value) for name, value in to_flat(model).items()}
    np.savez(folder / "parameters.npz", **parameters)
    for name, crops in (("rows", rows), ("queries", queries)):
        listed = [[crop.catalog, crop.photo, crop.seed] for crop in crops]
        (folder / f"{name}.json").write_text(json.dumps(listed))


def _headless() -> Embedder:
    model = Embedder(replace(pretrained_config(WEIGHTS), embedding_dim=None), rngs=nnx.Rngs(0))
    model.eval()
    return model


def _with_head(backbone: Embedder, catalogs: list[Catalog], crops: list[Crop]) -> Embedder:
    """The same network with the principal components of its pooled features as its head."""
    definition, state = nnx.split(backbone)
    project = jax.jit(lambda state, pixels: nnx.merge(definition, state).project(pixels))
    batches = _batches(catalogs, crops, "Pooling features for the head")
    pooled = np.concatenate([np.asarray(project(state, jnp.asarray(batch))) for batch in batches])
    mean = pooled.mean(axis=0)
    _, _, components = np.linalg.svd(pooled - mean, full_matrices=False)
    kernel = components[:DIM].T
    flat = {name: np.asarray(value) for name, value in to_flat(backbone).items()}
    flat |= {"head/kernel": kernel, "head/bias": -mean @ kernel}
    return from_flat(replace(backbone.config, embedding_dim=DIM), flat)


def _batches(
    catalogs: list[Catalog], crops: list[Crop], label: str
) -> Iterator[UInt8[np.ndarray, "batch size size 3"]]:
    pending: deque[Future[UInt8[np.ndarray, "size size 3"]]] = deque()
    left = iter(crops)
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        progress_bar(label, len(crops)) as bar,
    ):
        while True:
            some = islice(left, 4 * _BATCH - len(pending))
            pending.extend(pool.submit(_pixels, catalogs, crop) for crop in some)
            if not pending:
                return
            batch = [pending.popleft().result() for _ in range(min(_BATCH, len(pending)))]
            yield np.stack(batch)
            bar.advance(len(batch))


def _pixels(catalogs: list[Catalog], crop: Crop) -> UInt8[np.ndarray, "size size 3"]:
    """A part of the photo, a third of it to all, perhaps mirrored."""
    catalog = catalogs[crop.catalog]
    image = decode(catalog.read(catalog.photos[crop.photo]))
    random = np.random.default_rng(crop.seed)
    share = np.sqrt(random.uniform(1 / 3, 1, 2))
    width, height = (
        max(1, round(side * part)) for side, part in zip(image.size, share, strict=True)
    )
    left = int(random.integers(0, image.width - width + 1))
    top = int(random.integers(0, image.height - height + 1))
    part = image.crop((left, top, left + width, top + height))
    if random.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return resize_to_square(part, IMAGE_SIZE)


if __name__ == "__main__":
    shop = open_shop()
    print(f"{SHOP}: {len(shop.rows):,} rows, {len(shop.queries):,} queries")
