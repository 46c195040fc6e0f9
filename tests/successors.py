"""Releases that follow another one in a root: of the same program or another, sound or not."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from function.manifest import CATALOG, GOLDEN, INDEX, MANIFEST, SCHEMA_VERSION
from function.manifest_file import parse_manifest
from function.release import POINTER, file_info, release_prefix
from function.storage import open_storage
from function.vectors import DATASET


def add_successor(
    root: Path, release_id: str, new_id: str, *changes: Callable[[Path], None]
) -> str:
    """Copy a release of a local root under another id, changed; return that id.

    The manifest says what the files are after the changes; the index's id is the release's.
    """
    folder = root / release_prefix(new_id)
    shutil.copytree(root / release_prefix(release_id), folder)
    for change in changes:
        change(folder)
    manifest = parse_manifest((folder / MANIFEST).read_bytes())
    renamed = replace(
        manifest,
        release_id=new_id,
        index=replace(manifest.index, index_id=new_id),
        files={name: file_info(folder / name) for name in manifest.files},
    )
    (folder / MANIFEST).write_bytes(renamed.to_json())
    return new_id


def point_at(root: Path | str, release_id: str) -> None:
    """Swap the pointer, whatever it holds, whether or not there is such a release."""
    open_storage(root).write(POINTER, json.dumps({"release_id": release_id}).encode())


def retitle(title: str) -> Callable[[Path], None]:
    """Give every product of the catalogue this title."""

    def change(folder: Path) -> None:
        with closing(sqlite3.connect(folder / CATALOG)) as connection, connection:
            connection.execute("UPDATE product SET title = ?", [title])

    return change


def rewrite_index(folder: Path) -> None:
    """Make another file of the same index: a function has to load it anew."""
    codes = folder / INDEX / "search.json"
    if codes.exists():
        codes.write_text(f"{codes.read_text()}\n")
        return
    path = folder / INDEX / DATASET
    rows = np.load(path)
    # Of version 2 instead of 1.
    with path.open("wb") as file:
        np.lib.format.write_array(file, rows, version=(2, 0))


def rewrite_program(folder: Path) -> None:
    """Make other files of the same network: a function has to compile it anew."""
    for path in folder.glob("*.onnx"):
        program = onnx.load(path)
        note = program.metadata_props.add()
        note.key, note.value = "written_for", folder.name
        onnx.save(program, path)


def turn_golden_vectors(folder: Path) -> None:
    """Ask for other vectors than the program gives."""
    with np.load(folder / GOLDEN) as golden:
        arrays = dict(golden)
    turned = {name: array if name == "pixels" else -array for name, array in arrays.items()}
    np.savez(folder / GOLDEN, allow_pickle=False, **turned)


def come_from_the_future(folder: Path) -> None:
    """Have the manifest's schema be a later one; to be done to a finished release."""
    content = json.loads((folder / MANIFEST).read_bytes())
    content["schema_version"] = SCHEMA_VERSION + 1
    (folder / MANIFEST).write_text(json.dumps(content))


def lose_a_file(folder: Path) -> None:
    """Have no catalogue; to be done to a finished release."""
    (folder / CATALOG).unlink()


def flip_a_byte(folder: Path) -> None:
    """Damage the catalogue, in its size; to be done to a finished release."""
    data = bytearray((folder / CATALOG).read_bytes())
    data[-1] ^= 1
    (folder / CATALOG).write_bytes(data)
