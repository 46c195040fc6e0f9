"""Whatever is wrong with the files of a real release, it is refused with the reason, never served.

`test_fetching.py` tells what is said of each difference; here every file that the function reads is
damaged in turn, and the loader itself has to refuse.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from function.errors import FunctionError
from function.loading import load_search_engine
from function.manifest import CATALOG, EMBEDDER_ONNX, GOLDEN, MANIFEST
from function.manifest_file import parse_manifest
from function.release import POINTER, release_prefix
from function.search import SearchEngine
from function.storage import open_storage
from tests.answers import PHOTO, assert_refused, results
from tests.releases import IMAGE_SIZE, TinyRelease, tiny_model
from tests.server import run_function
from tests.waiting import eventually

FILES = (EMBEDDER_ONNX, "index/dataset.npy", CATALOG, GOLDEN)


@pytest.fixture
def root(tiny_release: TinyRelease, tmp_path: Path) -> Path:
    """The tiny release's root, to be damaged; its photos are left out."""
    root = tmp_path / "root"
    # Linked, not copied: a test that damages a file replaces it.
    shutil.copytree(
        tiny_release.root, root, copy_function=os.link, ignore=shutil.ignore_patterns("images")
    )
    return root


@pytest.fixture
def folder(root: Path, tiny_release: TinyRelease) -> Path:
    """The release's folder."""
    return root / release_prefix(tiny_release.release_id)


def load(root: Path) -> SearchEngine:
    return load_search_engine(open_storage(root), engine="openvino", cache_dir=root / "unused")


def replace(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def changed(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "its first byte changed": lambda data: changed(data, 0),
    "its middle byte changed": lambda data: changed(data, len(data) // 2),
    "its last byte changed": lambda data: changed(data, len(data) - 1),
    "cut in half": lambda data: data[: len(data) // 2],
    "emptied": lambda data: b"",
    "zeros of the right size": lambda data: bytes(len(data)),
}


def test_these_are_all_files_that_the_engine_reads(folder: Path) -> None:
    manifest = parse_manifest((folder / MANIFEST).read_bytes())
    assert set(manifest.files_for("openvino")) == set(FILES)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_release_with_any_file_damaged_is_refused(
    root: Path, folder: Path, tiny_release: TinyRelease, damage: str
) -> None:
    for name in FILES:
        sound = (folder / name).read_bytes()
        replace(folder / name, DAMAGES[damage](sound))
        with pytest.raises(FunctionError) as refused:
            load(root)
        assert refused.value.reason == "NO_VALID_RELEASE"
        assert f"{name} of release {tiny_release.release_id}: expected" in refused.value.message
        replace(folder / name, sound)
    assert load(root).manifest.release_id == tiny_release.release_id


def test_a_release_with_any_file_missing_is_refused(root: Path, folder: Path) -> None:
    for name in (*FILES, MANIFEST):
        sound = (folder / name).read_bytes()
        (folder / name).unlink()
        with pytest.raises(FunctionError) as refused:
            load(root)
        assert refused.value.reason == "NO_VALID_RELEASE"
        assert "does not exist" in refused.value.message or name in refused.value.message
        (folder / name).write_bytes(sound)


@pytest.fixture(scope="module")
def other_folder(tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another release of the same catalogue, by another network: its files are as large."""
    from trainer.release.publish import publish

    root = tmp_path_factory.mktemp("other-root")
    catalog = tiny_release.catalog
    release_id = publish(tiny_model(seed=1), IMAGE_SIZE, catalog, str(root), evaluation={})
    return root / release_prefix(release_id)


@pytest.mark.slow
def test_a_release_with_any_file_of_another_one_is_refused(
    root: Path, folder: Path, other_folder: Path
) -> None:
    for name in (*FILES, MANIFEST):
        sound, other = ((one / name).read_bytes() for one in (folder, other_folder))
        if sound == other:
            # Its catalogue may be the same to the byte.
            continue
        replace(folder / name, other)
        with pytest.raises(FunctionError) as refused:
            load(root)
        assert refused.value.reason == "NO_VALID_RELEASE"
        replace(folder / name, sound)


@pytest.mark.slow
def test_another_networks_program_is_refused_even_where_the_manifest_vouches_for_it(
    root: Path, folder: Path, other_folder: Path
) -> None:
    content = json.loads((folder / MANIFEST).read_bytes())
    other = json.loads((other_folder / MANIFEST).read_bytes())
    content["files"][EMBEDDER_ONNX] = other["files"][EMBEDDER_ONNX]
    replace(folder / MANIFEST, json.dumps(content).encode())
    replace(folder / EMBEDDER_ONNX, (other_folder / EMBEDDER_ONNX).read_bytes())
    with pytest.raises(FunctionError, match="golden"):
        load(root)


POINTERS = {
    "missing": (None, "expected a published release; found none"),
    "empty": (b"", f'{POINTER}: expected {{"release_id"'),
    "garbage": (b"\x00\xff not JSON", f'{POINTER}: expected {{"release_id"'),
    "of another shape": (b'["20261130"]', f'{POINTER}: expected {{"release_id"'),
    "out of the root": (b'{"release_id": "../../etc"}', f'{POINTER}: expected {{"release_id"'),
    "to a removed release": (b'{"release_id": "20260101T000000Z-gone"}', "does not exist"),
}


@pytest.mark.parametrize("pointer", POINTERS)
def test_a_pointer_that_leads_nowhere_is_refused_with_the_reason(root: Path, pointer: str) -> None:
    data, reason = POINTERS[pointer]
    (root / POINTER).unlink()
    if data is not None:
        (root / POINTER).write_bytes(data)
    with pytest.raises(FunctionError) as refused:
        load(root)
    assert refused.value.reason == "NO_VALID_RELEASE"
    assert reason in refused.value.message


def test_a_running_function_takes_up_a_pointer_that_was_mended(root: Path, tmp_path: Path) -> None:
    sound = (root / POINTER).read_bytes()
    replace(root / POINTER, b"\x00\xff not JSON")
    with run_function(tmp_path / "log.txt", root=str(root)) as running:

        def told() -> list[str]:
            lines = running.log_lines()
            return [x["message"] for x in lines if "No release was loaded" in x["message"]]

        eventually(lambda: bool(told()))
        assert POINTER in told()[0]
        refused = running.search(PHOTO)
        assert_refused(refused, 503, "NO_VALID_RELEASE")
        assert int(refused.headers["Retry-After"]) > 0
        assert "release_id" not in refused.json()["error"]["message"]
        replace(root / POINTER, sound)
        running.wait_until_ready()
        assert results(running.search(PHOTO))
