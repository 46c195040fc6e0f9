"""Filters cost a database's index no recall: of real photos, whatever share they let through."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
import psycopg
import pytest
from flax import nnx
from numpy.typing import NDArray

from function.catalog import ImageRow, Product
from function.embedder import open_embedder
from function.filters import EVERYTHING, Label, Selection
from function.manifest import EMBEDDER_ONNX, Counts, IndexSetting
from function.photo import decode, resize_to_square
from function.postgres import index as module
from function.postgres.connection import Database
from function.postgres.index import PostgresIndex
from function.postgres.schema import HNSW
from function.postgres.tables import Tables
from function.postgres.writing import Writer
from function.ranking import rank_products
from tests.benchmarks.filters import ASKED, Filters, make_filters
from tests.tables import make_tables
from trainer.data.catalog import open_catalog
from trainer.model.embedder import Embedder
from trainer.model.pretrained import load_pretrained, pretrained_config
from trainer.release.program import export_onnx

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PACKS = ("grocery", "clothing", "luma", "emoji")
SIZE, DIM = 64, 128
ROWS = 12_000
RECALL = 0.95
SETTING = IndexSetting("pgvector", "float16", 0, 0, 0, 1.0, 1.0, 1.0, ef_search=100)


@dataclass(frozen=True)
class World:
    """Rows in a database, each a product, whose labels are the filters that allow it."""

    index: PostgresIndex
    rows: NDArray[np.float32]
    queries: NDArray[np.float32]
    filters: Filters

    def recall(self, name: str) -> float:
        """The share of the true ten nearest that are found, over all queries with a filter."""
        masks, which = self.filters[name]
        found = wanted = 0
        for query, mask in zip(self.queries, which.tolist(), strict=True):
            scores = np.where(masks[mask], self.rows @ query, -2)
            tenth = np.sort(scores)[-min(10, int(masks[mask].sum()))]
            allowed = self.index.allowed(Selection(Label(name, str(mask))))
            (hits,) = self.index.search(query[None], 10, allowed)
            assert masks[mask][hits.rows].all()
            # One as near as the tenth counts: half precision may turn two round.
            found += int((scores[hits.rows] >= tenth - 1e-3).sum())
            wanted += min(10, int(masks[mask].sum()))
        return found / wanted


def embedded(data: Path, folder: Path) -> NDArray[np.float32]:
    """Crops of all photos through ImageNet's ResNet-50, in their 128 principal components."""
    weights = data / "weights" / "resnet50_keras_imagenet_f16kernels.npz"
    config = replace(pretrained_config(weights), embedding_dim=None)
    with jax.default_device(jax.devices("cpu")[0]):
        model = load_pretrained(weights, Embedder(config, rngs=nnx.Rngs(0)))
        model.eval()
        export_onnx(model, folder / EMBEDDER_ONNX, image_size=SIZE)
    embedder = open_embedder(folder, "openvino")
    random = np.random.default_rng(0)
    catalogs = [open_catalog(data / f"{name}.tar") for name in PACKS]
    photos = [(catalog, photo) for catalog in catalogs for photo in catalog.photos]
    rows = []
    while len(rows) < ROWS + ASKED:
        catalog, photo = photos[len(rows) % len(photos)]
        image = decode(catalog.read(photo))
        for _ in range(4):
            share = random.uniform(0.6, 1, 2)
            width, height = (max(1, round(x * y)) for x, y in zip(image.size, share, strict=True))
            left = int(random.integers(0, image.width - width + 1))
            top = int(random.integers(0, image.height - height + 1))
            crop = image.crop((left, top, left + width, top + height))
            rows.append(embedder.embed(resize_to_square(crop, SIZE)[None])[0])
    pooled = np.stack(rows[: ROWS + ASKED])
    centred = pooled - pooled.mean(axis=0)
    _, components = np.linalg.eigh(centred.T @ centred)
    reduced = centred @ components[:, -DIM:]
    unit: NDArray[np.float32] = reduced / np.linalg.norm(reduced, axis=1, keepdims=True)
    return random.permutation(unit).astype(np.float32)


@pytest.fixture(scope="module")
def world(
    shared_data: Path, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    vectors = embedded(shared_data, tmp_path_factory.mktemp("program"))
    queries, rows = vectors[:ASKED], vectors[ASKED:]
    filters = make_filters(rows, queries)
    labels: list[list[tuple[str, str]]] = [[] for _ in rows]
    for name, (masks, _) in filters.items():
        for number, mask in enumerate(masks):
            for row in np.flatnonzero(mask):
                labels[row].append((name, str(number)))
    products = [Product(str(row), labels=tuple(its)) for row, its in enumerate(labels)]
    images = [ImageRow(row, str(row), "photo") for row in range(len(rows))]
    make_tables(module_database_url, "recall", DIM)
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        writer = Writer(connection, "recall", HNSW)
        for _ in writer.add(products, images, rows):
            pass
        writer.finish()
        connection.execute("ANALYZE")
    database = Database(module_database_url, 2)
    counts = Counts(len(rows), len(rows))
    index = PostgresIndex(Tables(database, "recall"), HNSW, DIM, counts, SETTING)
    yield World(index, rows, queries, filters)
    database.close()


def every_filter(world: World) -> dict[str, float]:
    recalls = {name: round(world.recall(name), 4) for name in world.filters}
    print(recalls)
    return recalls


def test_as_few_rows_are_scored_one_by_one(world: World) -> None:
    assert min(every_filter(world).values()) >= RECALL


def test_as_the_graph_is_asked_wherever_it_can_be(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FEW_ROWS", 0)
    assert min(every_filter(world).values()) >= RECALL
    found = 0
    for query in world.queries:
        (hits,) = world.index.search(query[None], 10)
        tenth = np.sort(world.rows @ query)[-10]
        found += int((world.rows[hits.rows] @ query >= tenth - 1e-3).sum())
    assert found / (10 * ASKED) >= RECALL


def test_pages_through_the_graph_are_cuts_of_one_list(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FEW_ROWS", 0)
    name = next(iter(world.filters))
    for allowed in (None, world.index.allowed(Selection(Label(name, "0")))):
        for query in world.queries[:5]:
            whole = rank_products(world.index, query, 500, allowed=allowed)
            assert len(whole) == 500
            assert len({item.product for item in whole}) == 500
            for depth in (10, 13, 26, 101, 300):
                assert rank_products(world.index, query, depth, allowed=allowed) == whole[:depth]
    assert world.index.allowed(EVERYTHING) is None
