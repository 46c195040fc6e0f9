"""The list shows every release, what is served, and what is not whole."""

from function.manifest import MANIFEST
from function.storage import Storage
from tests.many_releases import FIRST, SECOND, THIRD, AddRelease
from trainer.release.registry.listing import headline, list_all


def test_releases_are_listed_newest_first_with_the_pointers_marks(
    storage: Storage, add_release: AddRelease
) -> None:
    assert list_all(storage) == []
    for release_id in (FIRST, SECOND):
        add_release(storage, release_id)
    manifest = add_release(storage, THIRD, current=False)
    listed = list_all(storage)
    assert [(each.release_id, each.current, each.previous) for each in listed] == [
        (THIRD, False, False),
        (SECOND, True, False),
        (FIRST, False, True),
    ]
    newest = listed[0]
    assert (newest.products, newest.images, newest.index, newest.recall_at_10) == (
        6,
        12,
        "exact",
        1.0,
    )
    assert (newest.recall_at_1, newest.task) == (0.5, "leave_one_out")
    assert newest.size == sum(info.size for info in manifest.files.values())
    assert {each.state for each in listed} == {"complete"}


def test_what_is_not_whole_is_listed_too(storage: Storage, add_release: AddRelease) -> None:
    add_release(storage, FIRST)
    storage.write(f"releases/{SECOND}/embedder.onnx", b"so far")
    storage.write(f"releases/{THIRD}/{MANIFEST}", b"{}")
    third, second, first = list_all(storage)
    assert (third.state, second.state, first.state) == ("damaged", "unfinished", "complete")
    assert "schema_version" in third.problem


def test_a_release_that_was_cut_off_in_its_first_file_is_seen(local: Storage) -> None:
    assert local.folder is not None
    (local.folder / "releases" / FIRST).mkdir(parents=True)
    (unfinished,) = list_all(local)
    assert (unfinished.release_id, unfinished.state) == (FIRST, "unfinished")


def test_customers_photos_stand_for_an_evaluation_where_there_are_any() -> None:
    both = {"leave_one_out": {"recall_at_1": 0.6}, "query_to_catalog": {"recall_at_1": 0.4}}
    assert headline(both) == ("query_to_catalog", 0.4)
    assert headline({**both, "query_to_catalog": None}) == ("leave_one_out", 0.6)
    assert headline({}) == ("", None)
