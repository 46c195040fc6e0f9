"""A root whose releases take turns, and the function over it, for the benchmarks of swaps."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from function.release import current_release_id
from function.storage import open_storage
from tests.benchmarks.serving import Server, memory_mb, ours
from tests.benchmarks.shop import open_shop
from tests.successors import add_successor, point_at, retitle, rewrite_index, rewrite_program

FIRST = "first"
OTHERS = OTHER_TITLES, OTHER_INDEX, OTHER_PROGRAM = "other-titles", "other-index", "other-program"
# Of the server: as many as it would be deployed with, so that only searches wait for searches.
THREADS = 24
PHOTOS = 64


def photos_of(folder: Path | None) -> list[bytes]:
    """JPEGs to ask with: those of a folder, or customers' of the benchmarks' shop."""
    if folder is None:
        return open_shop().query_photos((1024, 768), PHOTOS)
    return [path.read_bytes() for path in sorted(folder.glob("*.jpg"))[:PHOTOS]]


def make_successors(source: Path, root: Path) -> None:
    """Copy a root's current release into a new one, as FIRST, the current one, and the others.

    Their ids are their indices' too. OTHER_TITLES has another catalogue than FIRST, as when prices
    change; OTHER_INDEX has the same rows in other files besides, as when products come and go;
    OTHER_PROGRAM has the same network in another file besides, as when it was trained again.
    """
    release_id = current_release_id(open_storage(source))
    if release_id is None:
        raise SystemExit(f"{source}: expected a published release; found none.")
    shutil.copytree(source / "releases" / release_id, root / "releases" / release_id)
    add_successor(root, release_id, FIRST)
    changes = (retitle("another title"), rewrite_index, rewrite_program)
    for number, name in enumerate(OTHERS, 1):
        add_successor(root, release_id, name, *changes[:number])
    point_at(root, FIRST)


def looking_often(root: Path, cache: Path, seconds: float = 0.5) -> Server:
    """The function, which looks at the pointer so often."""
    server = ours(str(root), cache, THREADS)
    server.environment["LOOKALIKE_RELEASE_CHECK_SECONDS"] = str(seconds)
    return server


@contextmanager
def watching_memory(process: int, seconds: float) -> Iterator[list[tuple[float, float]]]:
    """Note what a process and its children hold, every so often: (time, MB), time as in `Asked`."""
    samples: list[tuple[float, float]] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(seconds):
            samples.append((time.perf_counter(), memory_mb(process)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield samples
    finally:
        ended.set()
        watcher.join()
