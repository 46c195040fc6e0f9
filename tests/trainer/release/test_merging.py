"""Merged rows are those of a listing that was edited by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from function.catalog import ImageRow, Product
from trainer.evaluation.attribution import Queries
from trainer.release.contents import Contents
from trainer.release.merging import merged_order, still_answerable
from trainer.release.questions import Answerable

IDS = st.sampled_from([f"p{number}" for number in range(6)])


def rows(products: list[str]) -> list[ImageRow]:
    return [ImageRow(row, product, str(row)) for row, product in enumerate(products)]


@given(st.lists(IDS, max_size=12), st.lists(IDS, max_size=8), st.sets(IDS, max_size=3))
def test_the_order_is_that_of_the_edited_listing(
    old: list[str], new: list[str], removed: set[str]
) -> None:
    removed -= set(new)
    edited: list[tuple[str, int]] = []
    for place, product in enumerate(old):
        if product in new:
            if product not in old[:place]:
                edited += [("new", at) for at, name in enumerate(new) if name == product]
        elif product not in removed:
            edited.append(("old", place))
    edited += [("new", at) for at, name in enumerate(new) if name not in old]
    order = merged_order(rows(old), rows(new), removed)
    assert [
        ("new", number - len(old)) if number >= len(old) else ("old", number)
        for number in order.tolist()
    ] == edited


def test_queries_follow_their_rows_and_go_with_their_products() -> None:
    old = rows(["a", "a", "b", "b", "c", "d"])
    order = merged_order(old, rows(["b"]), {"c"})
    assert order.tolist() == [0, 1, 6, 5]
    images = rows(["a", "a", "b", "d"])
    vectors = np.eye(4, 8, dtype=np.float32)
    contents = Contents(vectors, images, [Product(name) for name in "abd"], None)
    asked = Answerable(
        # A row that stays, one that was replaced, a customer's, and two without another photo.
        Queries(["a", "b", "b", "c", "d"], np.array([1, 3, -1, -1, 5])),
        np.arange(5, dtype=np.float32)[:, None].repeat(8, axis=1),
    )
    left = still_answerable(asked, order, contents)
    assert left is not None
    assert left.queries.products == ["a", "b"]
    assert left.queries.own_rows.tolist() == [1, -1]
    assert left.vectors[:, 0].tolist() == [0, 2]
    assert still_answerable(None, order, contents) is None
