"""Verification finds all that is wrong with a release, and nothing with one that is whole."""

from pathlib import Path

import numpy as np
import pytest

from function.manifest import CATALOG, EMBEDDER_ONNX, GOLDEN
from function.release import IMAGES, POINTER
from function.storage import Storage
from tests.many_releases import FIRST, SECOND, AddRelease
from trainer.errors import RegistryError
from trainer.release.registry.verification import verify_all, verify_release


def test_a_whole_release_has_no_problems(storage: Storage, add_release: AddRelease) -> None:
    manifest = add_release(storage, FIRST)
    found = verify_release(storage)
    assert (found.release_id, found.problems) == (FIRST, ())
    assert found.files == len(manifest.files)
    assert found.size == sum(info.size for info in manifest.files.values())


def test_every_damaged_file_is_told(storage: Storage, add_release: AddRelease) -> None:
    add_release(storage, FIRST)
    for name in (EMBEDDER_ONNX, GOLDEN, "index/dataset.npy"):
        stored = f"releases/{FIRST}/{name}"
        data = storage.read(stored)
        if name == EMBEDDER_ONNX:
            storage.write(stored, data[:-1] + bytes([data[-1] ^ 1]))
        elif name == GOLDEN:
            storage.write(stored, data[:-1])
        else:
            storage.delete(stored)
    storage.write(f"releases/{FIRST}/index/stranger", b"")
    problems = verify_release(storage, FIRST).problems
    assert len(problems) == 4
    for name, problem in (
        (EMBEDDER_ONNX, "expected SHA-256"),
        (GOLDEN, "bytes, found"),
        ("index/dataset.npy", "expected a file, found none"),
        ("index/stranger", "the manifest does not list it"),
    ):
        (told,) = [text for text in problems if text.startswith(f"{name}: ")]
        assert problem in told


def test_parts_that_do_not_belong_together_are_told(
    local: Storage, add_release: AddRelease
) -> None:
    def shorten(folder: Path) -> None:
        rows = np.load(folder / "index/dataset.npy")
        np.save(folder / "index/dataset.npy", rows[:-1])

    def foreign(folder: Path) -> None:
        with np.load(folder / GOLDEN) as golden:
            pixels, vectors = golden["pixels"], golden["vectors"]
        np.savez(folder / GOLDEN, pixels=pixels, vectors=-vectors)

    add_release(local, FIRST, edit=shorten)
    add_release(local, SECOND, edit=foreign)
    (problem,) = verify_release(local, FIRST).problems
    assert "the index's rows: expected 12" in problem
    (problem,) = verify_release(local, SECOND).problems
    assert "vector 0 of 4" in problem


def test_photos_that_the_catalogue_counts_on_are_missed(
    storage: Storage, add_release: AddRelease
) -> None:
    add_release(storage, FIRST)
    gone, *_ = storage.list(IMAGES)
    storage.delete(gone)
    (problem,) = verify_release(storage).problems
    assert problem.startswith("images/: expected 22 photos and thumbnails; 1 are missing, as ")
    assert gone.removeprefix("images/") in problem


def test_all_releases_and_the_pointer_are_verified(local: Storage, add_release: AddRelease) -> None:
    for release_id in (FIRST, SECOND):
        add_release(local, release_id)
    local.delete(f"releases/{FIRST}/{CATALOG}")
    local.write(POINTER, b'{"release_id": "gone"}')
    first, second, pointer = verify_all(local)
    assert first.problems == (f"{CATALOG}: expected a file, found none",)
    assert second.problems == ()
    assert pointer.release_id == "gone"
    assert "the pointer names it" in pointer.problems[0]


def test_nothing_to_verify_is_said(storage: Storage) -> None:
    with pytest.raises(RegistryError, match="expected a current release; found none"):
        verify_release(storage)
    assert "does not exist" in verify_release(storage, "absent").problems[0]
