"""Publishes a release into a database again and again, and is killed each time at another moment.

    python -m tests.trainer.release.database.killed_loader URL ROOT

The current release of ROOT, in files, is published anew with its rows at URL, each time by another
process, forked from this one, that SIGKILLs itself at a moment of MOMENTS. A line of JSON tells
what each left behind. The last one comes through.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from function.file_catalog import open_catalog
from function.manifest import CATALOG
from function.postgres import writing
from function.release import LocalRelease, fetch_release, read_pointer
from function.storage import Storage, open_storage
from tests.tables import schemas_in
from trainer.release import publication
from trainer.release.assembly import assemble_release
from trainer.release.contents import Contents
from trainer.release.database import indexing, namespaces, release
from trainer.release.database.connection import database_at
from trainer.release.database.rows import DatabaseRows
from trainer.release.kept import load_kept
from trainer.release.program import Program
from trainer.release.publication import build_and_publish
from trainer.release.registry.inventory import all_images

PROGRAM = ("embedder", "checkpoint", "golden")


def _die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _dies_before(owner: Any, name: str, number: int = 1) -> Callable[[], None]:
    """Arms a process: it dies before it calls owner.name the Nth time."""

    def arm() -> None:
        original, calls = getattr(owner, name), iter(range(1, 1_000_000))

        def dying(*arguments: Any, **options: Any) -> Any:
            if next(calls) == number:
                _die()
            return original(*arguments, **options)

        setattr(owner, name, dying)

    return arm


MOMENTS: dict[str, Callable[[], None]] = {
    "an empty schema": _dies_before(release, "make_keys"),
    "some of the rows": _dies_before(writing.Writer, "_copy_images", 3),
    "all rows, no index": _dies_before(release, "build_indexes"),
    "some of the indexes": _dies_before(indexing, "_build", 3),
    "all but the line that says so": _dies_before(namespaces, "complete"),
    "all of it": _dies_before(publication, "upload"),
    "files on storage": _dies_before(namespaces, "put_in_place"),
    "rows in sight": _dies_before(namespaces, "_wait_for_replicas"),
    "all but the pointer": _dies_before(publication, "set_current"),
}


def publish(url: str, root: Path, source: LocalRelease) -> None:
    """Publish a release in files anew, with its rows in a database."""
    manifest = source.manifest
    kept = load_kept(source.folder)
    with closing(open_catalog(source.folder / CATALOG)) as catalog:
        listed = [product for product, _ in catalog.products(range(catalog.counts.products))]
        contents = Contents(kept.vectors, all_images(catalog), listed, kept.signatures)
    storage = open_storage(root)
    with DatabaseRows(database_at(url)) as rows:

        def build(folder: Path) -> LocalRelease:
            for path in source.folder.iterdir():
                if path.name.startswith(PROGRAM):
                    (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)
            program = Program(manifest.model, manifest.golden, manifest.int8)
            return assemble_release(program, contents, folder, evaluation={}, rows=rows)

        build_and_publish(storage, read_pointer(storage), build, rows)


def left(url: str, storage: Storage) -> dict[str, Any]:
    """What a reader of the root sees, and what lies in the database."""
    pointer = read_pointer(storage)
    return {"current": pointer and pointer.release_id, "schemas": sorted(schemas_in(url))}


def main() -> None:
    url, root = sys.argv[1], Path(sys.argv[2])
    storage = open_storage(root)
    pointer = read_pointer(storage)
    assert pointer is not None
    source = fetch_release(storage, pointer.release_id, root / "unused", engine=None)
    writing.BLOCK_ROWS = 3
    for moment in (*MOMENTS, ""):
        child = os.fork()
        if not child:
            if moment:
                MOMENTS[moment]()
            publish(url, root, source)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        ended = {"moment": moment, "status": os.waitstatus_to_exitcode(status)}
        print(json.dumps(ended | left(url, storage)), flush=True)


if __name__ == "__main__":
    main()
