"""A root whose releases take turns, and the function over it, for the benchmarks of swaps."""

import argparse
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from function.release import current_release_id
from function.storage import open_storage
from tests.benchmarks.footprint import memory_mb
from tests.benchmarks.http_load import load
from tests.benchmarks.open_loop import Asked, asking
from tests.benchmarks.serving import ours, running
from tests.benchmarks.shop import open_shop, shop_root
from tests.benchmarks.timing import FOLDER
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


def options(description: str, *, share: float) -> argparse.ArgumentParser:
    """A parser of what the benchmarks of swaps have in common."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, help="a local one's release; else the benchmarks' own")
    parser.add_argument("--photos", type=Path, help="folder of JPEGs to ask with; else their own")
    parser.add_argument("--share", type=float, default=share, help="of the peak, that is asked for")
    return parser


@dataclass(frozen=True)
class Load:
    """A function that is asked for what runs inside.

    Attributes:
        root: its releases; `point_at` has them take turns.
        peak: searches a second that four clients reach who never rest.
        rate: searches a second that come.
        asked: grows with every answer.
        memory: grows with every sample, as `watching_memory` says.
    """

    root: Path
    peak: float
    rate: float
    asked: list[Asked]
    memory: list[tuple[float, float]]


@contextmanager
def under_load(
    arguments: argparse.Namespace, *, look_seconds: float, sample_seconds: float
) -> Iterator[Load]:
    """Run the function over releases that can take turns, and ask it all the while.

    Args:
        arguments: what `options` reads.
        look_seconds: how often the function looks at the pointer.
        sample_seconds: how often its memory is noted.
    """
    photos = photos_of(arguments.photos)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=FOLDER) as folder:
        root = Path(folder) / "root"
        make_successors(arguments.root or shop_root(), root)
        server = ours(str(root), Path(folder) / "cache", THREADS)
        server.environment["LOOKALIKE_RELEASE_CHECK_SECONDS"] = str(look_seconds)
        with running(server, photos[0]) as (port, process, _):
            peak = load(port, photos, 4, 5.0).rate
            rate = arguments.share * peak
            with (
                watching_memory(process, sample_seconds) as memory,
                asking(port, photos, rate) as asked,
            ):
                yield Load(root, peak, rate, asked, memory)
