"""The pointer to the current release moves in turn, to complete releases alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from function.errors import ReleaseError
from function.manifest import (
    MANIFEST,
    Manifest,
)
from function.release import (
    POINTER,
    Pointer,
    current_release_id,
    fetch_release,
    list_releases,
    read_pointer,
    set_current,
)
from function.storage import Conflict, Storage, open_storage
from tests.named_files import upload_named_files, write_named_files


@pytest.fixture
def storage(storage_root: str) -> Storage:
    return open_storage(storage_root)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return write_named_files(tmp_path / "made")


def test_a_manifest_in_another_folder_is_refused(
    storage: Storage, manifest: Manifest, tmp_path: Path
) -> None:
    storage.write(f"releases/other/{MANIFEST}", manifest.to_json())
    with pytest.raises(ReleaseError, match="release_id: expected the folder's name, other"):
        fetch_release(storage, "other", tmp_path / "cache", engine="openvino")
    with pytest.raises(ReleaseError, match="release absent does not exist"):
        fetch_release(storage, "absent", tmp_path / "cache", engine="openvino")


def test_the_pointer_moves_only_to_complete_releases_and_in_turn(
    storage: Storage, manifest: Manifest, tmp_path: Path
) -> None:
    assert read_pointer(storage) is None
    assert current_release_id(storage) is None
    assert list_releases(storage) == []
    with pytest.raises(ReleaseError, match="does not exist or is unfinished"):
        set_current(storage, manifest.release_id, None)
    storage.write("releases/unfinished/embedder.onnx", b"")
    second = replace(manifest, release_id="20261121T090000Z-def")
    for each in (second, manifest):
        upload_named_files(storage, each, tmp_path / "made")
    assert list_releases(storage) == [manifest.release_id, second.release_id]
    version = set_current(storage, manifest.release_id, None)
    assert read_pointer(storage) == Pointer(manifest.release_id, version)
    set_current(storage, second.release_id, version)
    with pytest.raises(Conflict):
        set_current(storage, manifest.release_id, version)
    assert current_release_id(storage) == second.release_id


def test_going_back_never_leads_to_a_release_that_was_left_behind(
    storage: Storage, manifest: Manifest, tmp_path: Path
) -> None:
    ids = [f"r{number:02}" for number in range(13)]
    for release_id in ids:
        upload_named_files(storage, replace(manifest, release_id=release_id), tmp_path / "made")

    def go_to(release_id: str) -> tuple[str, ...]:
        pointer = read_pointer(storage)
        set_current(storage, release_id, pointer.version if pointer else None)
        pointer = read_pointer(storage)
        assert pointer is not None
        assert pointer.release_id == release_id
        return pointer.previous

    assert go_to("r00") == ()
    assert go_to("r01") == ("r00",)
    assert go_to("r01") == ("r00",)
    assert go_to("r02") == ("r01", "r00")
    assert go_to("r01") == ("r00",)
    assert go_to("r03") == ("r01", "r00")
    assert go_to("r00") == ()
    for release_id in ids[1:]:
        previous = go_to(release_id)
    assert previous == tuple(reversed(ids[2:12]))


def test_a_pointer_from_before_it_remembered_is_read_and_gone_on_from(
    storage: Storage, manifest: Manifest, tmp_path: Path
) -> None:
    storage.write(POINTER, b'{"release_id": "old"}')
    upload_named_files(storage, manifest, tmp_path / "made")
    pointer = read_pointer(storage)
    assert pointer is not None
    assert (pointer.release_id, pointer.previous) == ("old", ())
    set_current(storage, manifest.release_id, pointer.version)
    pointer = read_pointer(storage)
    assert pointer is not None
    assert (pointer.release_id, pointer.previous) == (manifest.release_id, ("old",))


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"[]", b"{}", b'{"release_id": 3}', b'{"release_id": "../x"}'),
        *(b'{"release_id": "x", "previous": "y"}', b'{"release_id": "x", "previous": ["../y"]}'),
    ],
)
def test_a_damaged_pointer_is_named(storage: Storage, data: bytes) -> None:
    storage.write(POINTER, data)
    with pytest.raises(ReleaseError, match=POINTER):
        read_pointer(storage)
