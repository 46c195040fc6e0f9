"""A listing of changes says for each product what becomes of it, or what is wrong with its rows."""

import json
from pathlib import Path

import pytest

from trainer.data.changes import open_changes
from trainer.errors import CatalogError


def listed(folder: Path, *rows: str, header: str = "product_id,image,title,change,role") -> Path:
    path = folder / "changes.csv"
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def test_products_are_sorted_by_what_becomes_of_them(tmp_path: Path) -> None:
    changes = open_changes(
        listed(
            tmp_path,
            "new,n/1.jpg,New,add,",
            "again,a/1.jpg,Again,change,",
            "new,n/2.jpg,New,ADD,catalog",
            "gone,,,remove,",
            "either,e/1.jpg,Either,,",
            "text,,Another title,change,",
            "query,q.jpg,,,query",
        )
    )
    assert [photo.image for photo in changes.catalog.photos] == [
        *("n/1.jpg", "a/1.jpg", "n/2.jpg", "e/1.jpg"),
    ]
    assert changes.removed == ("gone",)
    assert {name: photo.title for name, photo in changes.texts.items()} == {"text": "Another title"}
    assert changes.demanded == {
        "new": "add",
        "again": "change",
        "gone": "remove",
        "either": "",
        "text": "change",
    }
    assert changes.rows["text"] == 7


def test_removals_need_an_id_alone(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    rows = [{"product_id": name, "change": "remove"} for name in ("a", "b")]
    path.write_text("\n".join(map(json.dumps, rows)))
    changes = open_changes(path)
    assert (changes.removed, changes.catalog.photos, changes.texts) == (("a", "b"), (), {})


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["a,a.jpg,,delete,"], "row 2: change: expected add, change, remove or nothing, found"),
        (["a,,,remove,", "a,a.jpg,,add,"], "row 2: product 'a': expected one kind of change"),
        (["a,,,add,"], "expected an image in every row of a product that is added"),
        (["a,a.jpg,,,", "a,,,,"], "or one row without any, which keeps its photos"),
        ([",,,remove,"], "product id: expected one, found none"),
        (["q,q.jpg,,,query"], "lists no change of a product that can be published"),
        (["a,../a.jpg,,add,"], "leaves the catalogue's folder"),
    ],
)
def test_rows_that_contradict_are_refused(tmp_path: Path, rows: list[str], problem: str) -> None:
    with pytest.raises(CatalogError) as refused:
        open_changes(listed(tmp_path, *rows))
    assert problem in str(refused.value)


def test_what_is_no_listing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="does not exist"):
        open_changes(tmp_path / "nothing")
    with pytest.raises(CatalogError, match=r"no metadata\.csv: expected a listing of changes"):
        open_changes(tmp_path)
    with pytest.raises(CatalogError, match="no column gives product_id"):
        open_changes(listed(tmp_path, "a", header="image"))
