"""Roots with several releases: the tiny one under other names, and with other contents."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from function.manifest import MANIFEST, Manifest
from function.release import (
    IMAGES,
    LocalRelease,
    file_info,
    read_pointer,
    set_current,
)
from function.storage import Storage
from tests.releases import TinyRelease
from trainer.release.publication import upload

FIRST, SECOND, THIRD = (f"202611{day}T090000.000Z-abc{day}" for day in (20, 21, 22))

type AddRelease = Callable[..., Manifest]


@pytest.fixture
def add_release(tiny_release: TinyRelease, tmp_path: Path) -> AddRelease:
    """Publishes the tiny release into a root, with its photos, and makes it current.

    `edit` may change the files in a folder before they are listed, and `fields` the manifest.
    """

    def add(
        storage: Storage,
        release_id: str,
        *,
        edit: Callable[[Path], object] = lambda folder: None,
        current: bool = True,
        **fields: Any,
    ) -> Manifest:
        original = tiny_release.root / "releases" / tiny_release.release_id
        folder = tmp_path / "made" / release_id
        shutil.copytree(original, folder)
        (folder / MANIFEST).unlink()
        edit(folder)
        files = {
            path.relative_to(folder).as_posix(): file_info(path)
            for path in folder.rglob("*")
            if path.is_file()
        }
        manifest = tiny_release.manifest
        manifest = replace(manifest, release_id=release_id, files=files, **fields)
        (folder / MANIFEST).write_bytes(manifest.to_json())
        there = storage.list(IMAGES)
        for photo in (tiny_release.root / IMAGES).iterdir():
            if f"{IMAGES}/{photo.name}" not in there:
                storage.upload(photo, f"{IMAGES}/{photo.name}")
        upload(LocalRelease(manifest, folder), storage)
        if current:
            pointer = read_pointer(storage)
            set_current(storage, release_id, pointer.version if pointer else None)
        return manifest

    return add
