"""A database's graph of vectors, asked for itself: filters cost it no recall, and pages fit."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from function.catalog import ImageRow, Product
from function.filters import Label, Selection
from function.manifest import Counts, IndexSetting
from function.postgres import index as module
from function.postgres.connection import Database
from function.postgres.index import PostgresIndex
from function.postgres.schema import HNSW
from function.postgres.tables import Tables
from function.ranking import rank_products
from function.vector_index import Entry
from tests.tables import make_tables

DIM, ROWS, QUERIES = 16, 2_000, 40
SHARES = {"half": 0.5, "tenth": 0.1, "hundredth": 0.01}
RECALL = 0.95
SETTING = IndexSetting("pgvector", "float16", 0, 0, 0, 1.0, 1.0, 1.0, ef_search=100)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


RANDOM = np.random.default_rng(0)
CENTRES = RANDOM.normal(size=(20, DIM))
CLUSTER = RANDOM.integers(0, 20, ROWS)
VECTORS = unit(CENTRES[CLUSTER] + 0.5 * RANDOM.normal(size=(ROWS, DIM)))
# Each query lies in a cluster; the next one is far from it.
ASKED = RANDOM.integers(0, 20, QUERIES)
ASKING = unit(CENTRES[ASKED] + 0.5 * RANDOM.normal(size=(QUERIES, DIM)))
CHANCE = {name: RANDOM.random(ROWS) < share for name, share in SHARES.items()}


@pytest.fixture(scope="module")
def index(module_database_url: str) -> Iterator[PostgresIndex]:
    """Rows in clusters, each of a product of its own with its cluster and some labels by chance."""
    make_tables(module_database_url, "graph", DIM)
    database = Database(module_database_url, 2)
    index = PostgresIndex(Tables(database, "graph"), HNSW, DIM, Counts(0, 0), SETTING)
    index.load(
        Entry(
            Product(
                str(row),
                category=str(CLUSTER[row]),
                labels=tuple(("share", name) for name, mask in CHANCE.items() if mask[row]),
            ),
            ImageRow(row, str(row), "photo"),
            vector,
        )
        for row, vector in enumerate(VECTORS)
    )
    yield index
    database.close()


@pytest.fixture(autouse=True)
def by_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few the rows are, the graph is asked for them."""
    monkeypatch.setattr(module, "_FEW_ROWS", 0)
    # Few of the rows may be looked at, as of many: far ones are then out of its sight.
    monkeypatch.setattr(module, "_SCANNED_ROWS", 400)
    monkeypatch.setitem(module._APPROXIMATE, "hnsw.max_scan_tuples", "400")


def recall(index: PostgresIndex, selections: list[Selection], masks: list[np.ndarray]) -> float:
    """The share of the true ten nearest that are found; half precision may turn two round."""
    found = wanted = 0
    for query, selection, mask in zip(ASKING, selections, masks, strict=True):
        scores = np.where(mask, VECTORS @ query, -2)
        tenth = np.sort(scores)[-min(10, int(mask.sum()))]
        (hits,) = index.search(query[None], 10, index.allowed(selection))
        assert mask[hits.rows].all()
        found += int((scores[hits.rows] >= tenth - 1e-3).sum())
        wanted += min(10, int(mask.sum()))
    return found / wanted


def test_without_a_filter(index: PostgresIndex) -> None:
    everywhere = [np.ones(ROWS, bool)] * QUERIES
    assert recall(index, [Selection()] * QUERIES, everywhere) >= RECALL


@pytest.mark.parametrize("name", SHARES)
def test_with_a_label_by_chance(index: PostgresIndex, name: str) -> None:
    selection = Selection(Label("share", name))
    assert recall(index, [selection] * QUERIES, [CHANCE[name]] * QUERIES) >= RECALL


@pytest.mark.parametrize("away", [0, 1, 7])
def test_with_a_category_near_and_far(index: PostgresIndex, away: int) -> None:
    names = [int(number + away) % 20 for number in ASKED]
    selections = [Selection(categories=frozenset({str(name)})) for name in names]
    assert recall(index, selections, [name == CLUSTER for name in names]) >= RECALL


def test_pages_are_cuts_of_one_list(index: PostgresIndex) -> None:
    for selection in (Selection(), Selection(Label("share", "half"))):
        allowed = index.allowed(selection)
        for query in ASKING[:3]:
            whole = rank_products(index, query, 500, allowed=allowed)
            assert len({item.product for item in whole}) == 500
            for depth in (10, 13, 26, 101, 300):
                assert rank_products(index, query, depth, allowed=allowed) == whole[:depth]


@pytest.mark.parametrize(("text", "is_graph"), [(module._BY_INDEX, True), (module._EXACT, False)])
def test_the_planner_has_no_choice(index: PostgresIndex, text: str, is_graph: bool) -> None:
    allowed = index.allowed(Selection(Label("share", "tenth")))
    assert allowed is not None
    question = index.tables.question(
        f"EXPLAIN {text}",
        {"vector": str(ASKING[0].tolist()), "k": 10},
        allowed.condition,
        type=HNSW.vector_type,
    )
    (plan,) = index.tables.database.ask_all([question], index._settings(10) if is_graph else {})
    assert any("image_embedding" in line for (line,) in plan) == is_graph
