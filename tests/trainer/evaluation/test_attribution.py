"""What each step to the served answer is charged, and that the charges are the whole gap."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.catalog import ImageRow, Product
from function.file_catalog import open_catalog, write_catalog
from function.index import NumpyIndex, TreeIndex, open_index
from tests.indices import write_exact, write_tree
from trainer.evaluation.attribution import (
    DEPTHS,
    STEPS,
    Answers,
    Attribution,
    Queries,
    Unordered,
    WithoutRow,
    attribute,
    step_count,
)

ROWS, PRODUCTS, DIM = 2400, 400, 32


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of 2,400 photos of 400 products, with an exact and a tree index over them."""
    folder = tmp_path_factory.mktemp("world")
    random = np.random.default_rng(0)
    centres = random.normal(size=(PRODUCTS, DIM))
    owner = np.arange(ROWS) % PRODUCTS
    gallery = unit(centres[owner] + 0.8 * random.normal(size=(ROWS, DIM)))
    write_catalog(
        folder / "catalog.sqlite",
        [Product(f"p{number}") for number in range(PRODUCTS)],
        [ImageRow(row, f"p{owner[row]}", str(row)) for row in range(ROWS)],
    )
    write_exact(gallery, folder / "exact")
    write_tree(gallery, folder / "scann", leaves_to_search=20, reorder=50)
    asked = random.integers(0, PRODUCTS, 120)
    np.savez(
        folder / "vectors.npz",
        gallery=gallery,
        owner=owner,
        asked=asked,
        queries=unit(centres[asked] + 0.9 * random.normal(size=(120, DIM))),
    )
    return folder


def attributed(world: Path, kind: str, *, noise: float = 0.02) -> Attribution:
    """The program's vectors are the network's with a little noise, as bfloat16 makes it."""
    with np.load(world / "vectors.npz") as held:
        gallery, queries, asked = held["gallery"], held["queries"], held["asked"]
    random = np.random.default_rng(1)
    network = [unit(rows + noise * random.normal(size=rows.shape)) for rows in (queries, gallery)]
    with closing(open_catalog(world / "catalog.sqlite")) as catalog:
        return attribute(
            open_index(world / kind, kind),
            catalog,
            Queries([f"p{number}" for number in asked], np.full(len(asked), -1)),
            (network[0], network[1]),
            (queries, gallery),
        )


@pytest.mark.parametrize("kind", ["exact", "scann"])
def test_the_steps_add_up_to_the_whole_gap(world: Path, kind: str) -> None:
    told = attributed(world, kind).to_dict()
    steps = [told[step] for step in STEPS if told[step]]
    assert len(steps) == step_count(open_index(world / kind, kind))
    for k in DEPTHS:
        changes = [step[f"gained_at_{k}"] - step[f"lost_at_{k}"] for step in steps]
        whole = told["whole"][f"gained_at_{k}"] - told["whole"][f"lost_at_{k}"]
        assert sum(changes) == whole
        gap = steps[-1][f"recall_at_{k}"] - steps[0][f"recall_at_{k}"]
        assert whole / 120 == pytest.approx(gap, abs=1e-12)
        for before, after, change in zip(steps, steps[1:], changes[1:], strict=False):
            assert change == round(120 * (after[f"recall_at_{k}"] - before[f"recall_at_{k}"]))


def test_an_exact_index_is_charged_nothing_it_does_not_do(world: Path) -> None:
    told = attributed(world, "exact").to_dict()
    assert [step for step in STEPS if told[step] is None] == list(STEPS[2:])


def test_reordering_recovers_what_quantisation_lost(world: Path) -> None:
    told = attributed(world, "scann").to_dict()
    neighbours = {step: told[step]["neighbours_at_10"] for step in STEPS}
    assert neighbours["trained"] == 1.0
    assert neighbours["quantisation"] < neighbours["export"] - 0.02
    assert neighbours["pruning"] <= neighbours["quantisation"] + 0.02
    assert neighbours["reordering"] > neighbours["pruning"] + 0.02


def test_the_quantised_answer_is_in_the_order_of_the_quantised_scores(world: Path) -> None:
    """Reordering is really off: the scores that come out are not the exact ones."""
    with np.load(world / "vectors.npz") as held:
        gallery, query = held["gallery"], held["queries"][0]
    served = open_index(world / "scann", "scann")
    assert isinstance(served, TreeIndex)
    unordered = Unordered(served, served.parameters.leaves)
    assert (unordered.rows, unordered.dim) == (ROWS, DIM)
    rows, scores = unordered.search(query, 20)
    assert np.all(np.diff(scores) <= 0)
    assert np.abs(scores - gallery[rows] @ query).max() > 1e-3
    exact = set(NumpyIndex(gallery).search(query, 20)[0])
    assert len(exact & set(rows)) >= 10
    allowed = np.arange(ROWS) % 3 == 0
    some, _ = unordered.search(query, 20, allowed)
    assert some.tolist() == [row for row in unordered.search(query, ROWS)[0] if allowed[row]][:20]


def test_the_last_step_is_what_the_release_serves(world: Path) -> None:
    from function.file_index import SearchableRows
    from function.ranking import rank_products

    attribution = attributed(world, "scann")
    index = open_index(world / "scann", "scann")
    with (
        np.load(world / "vectors.npz") as held,
        closing(open_catalog(world / "catalog.sqlite")) as catalog,
    ):
        for vector, page in zip(held["queries"], attribution.answers[-1].pages, strict=True):
            served = [
                catalog.image(item.rows[0]).product_id
                for item in rank_products(SearchableRows(index, catalog), vector, 10)
            ]
            assert served == list(page)


def test_exact_steps_against_a_nested_loop(world: Path) -> None:
    page_of = attributed(world, "exact", noise=0.0).answers[0].pages
    with np.load(world / "vectors.npz") as held:
        gallery, queries, owner = held["gallery"], held["queries"], held["owner"]
    for vector, page in zip(queries[:20], page_of, strict=False):
        best: dict[str, float] = {}
        for row in range(ROWS):
            product, score = f"p{owner[row]}", float(gallery[row] @ vector)
            best[product] = max(score, best.get(product, -2.0))
        assert list(page) == sorted(best, key=lambda product: -best[product])[:10]


@pytest.mark.parametrize("kind", ["exact", "scann"])
def test_a_query_photo_in_the_index_does_not_find_itself(world: Path, kind: str) -> None:
    index = open_index(world / kind, kind)
    with np.load(world / "vectors.npz") as held:
        gallery = held["gallery"]
    for row in (0, 7, 2399):
        others = WithoutRow(index, row)
        found, scores = others.search(gallery[row], 5)
        assert (others.rows, others.dim) == (ROWS - 1, DIM)
        assert row not in found
        assert len(found) == len(scores) == 5
        whole, _ = index.search(gallery[row], 6)
        assert [other for other in whole if other != row][:5] == found.tolist()


pages = st.lists(st.sampled_from("abcdefgh"), min_size=0, max_size=8, unique=True)


@given(st.lists(st.tuples(st.sampled_from("abcdefghz"), *[pages] * 5), min_size=1, max_size=12))
def test_whatever_is_answered_gains_less_losses_are_the_change_of_recall(
    drawn: list[tuple[str, ...]],
) -> None:
    queries = Queries([right for right, *_ in drawn], np.full(len(drawn), -1))
    answers = [
        Answers(step, [row[number] for row in drawn]) for number, step in enumerate(STEPS, start=1)
    ]
    told = Attribution(queries, answers).to_dict()
    for k in DEPTHS:
        by_hand = [
            sum(right in row[number][:k] for right, *row in drawn) for number in range(len(STEPS))
        ]
        assert [round(told[step][f"recall_at_{k}"] * len(drawn)) for step in STEPS] == by_hand
        total = sum(told[step][f"gained_at_{k}"] - told[step][f"lost_at_{k}"] for step in STEPS)
        assert total == by_hand[-1] - by_hand[0]
