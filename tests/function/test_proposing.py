"""An index's tree in a process of its own: lost, replaced, or damaged, it costs no search."""

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from function.errors import ReleaseError, Unavailable
from function.index import open_index
from function.manifest import INDEX, MANIFEST
from function.manifest_file import parse_manifest
from function.nursery import Nursery
from function.proposing import Proposers
from function.release import file_info, release_prefix
from tests.answers import PHOTO, results
from tests.gcs import upload_folder
from tests.indices import write_tree
from tests.processes import children, needs_proc, nursery_of, worker_of
from tests.releases import IMAGE_SIZE, draw_photo, tiny_model
from tests.server import RunningFunction, run_function
from tests.successors import add_successor, point_at, retitle
from tests.waiting import eventually
from trainer.data.catalog import open_catalog
from trainer.release.projection import projection_to
from trainer.release.publish import publish

pytestmark = needs_proc

# ScaNN learns its codes from two dozen rows or more.
PRODUCTS, VIEWS = 8, 4
FIRST, SECOND, DAMAGED = "first", "second", "damaged"
# Of the first one's index and program.
RETITLED, RETITLED_AGAIN = "retitled", "retitled-again"


def plant_a_tree(folder: Path) -> None:
    """Search a release's rows by a tree; its manifest says so."""
    index = folder / INDEX
    exact = open_index(index, "exact")
    assert exact.rows == PRODUCTS * VIEWS
    vectors = exact.vectors(np.arange(exact.rows))
    shutil.rmtree(index)
    shorter = projection_to(vectors, exact.dim // 2)
    write_tree(vectors, index, leaves_to_search=3, reorder=exact.rows, projection=shorter)
    manifest = parse_manifest((folder / MANIFEST).read_bytes())
    kept = [name for name in manifest.files if not name.startswith(f"{INDEX}/")]
    names = kept + [str(path.relative_to(folder)) for path in index.iterdir()]
    planted = replace(
        manifest,
        index=replace(manifest.index, chosen=replace(manifest.index.chosen, kind="scann")),
        files={name: file_info(folder / name) for name in names},
    )
    (folder / MANIFEST).write_bytes(planted.to_json())


def touch(folder: Path) -> None:
    """Make another file of the same tree: a function has to load it anew."""
    path = folder / INDEX / "search.json"
    path.write_text(f"{path.read_text()}\n")


def cut_off(folder: Path) -> None:
    path = folder / INDEX / "hashed_dataset.npy"
    path.write_bytes(path.read_bytes()[:100])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Releases with trees: two that are sound, and one that was published with a file cut off."""
    folder = tmp_path_factory.mktemp("trees")
    for product in range(PRODUCTS):
        (folder / "photos" / f"p{product}").mkdir(parents=True)
        for view in range(VIEWS):
            draw_photo(product, view).save(folder / "photos" / f"p{product}" / f"{view}.jpg")
    root = folder / "root"
    catalog = open_catalog(folder / "photos")
    release_id = publish(tiny_model(), IMAGE_SIZE, catalog, str(root), evaluation={})
    plant_a_tree(root / release_prefix(release_id))
    add_successor(root, release_id, FIRST)
    add_successor(root, release_id, SECOND, touch)
    add_successor(root, release_id, DAMAGED, cut_off)
    for name in (RETITLED, RETITLED_AGAIN):
        add_successor(root, release_id, name, retitle(name))
    point_at(root, FIRST)
    return root


@pytest.fixture(autouse=True)
def _first_again(root: Path) -> Iterator[None]:
    yield
    point_at(root, FIRST)


@pytest.fixture(scope="module")
def running(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFunction]:
    log = tmp_path_factory.mktemp("planted") / "log.txt"
    chosen = {"max_running": "2", "release_check_seconds": "0.05"}
    with run_function(log, root=str(root), **chosen) as running:
        running.wait_until_ready()
        assert len(results(running.search(PHOTO))) == PRODUCTS
        yield running


def maps_scann(process: int) -> bool:
    """Whether it is there and holds ScaNN."""
    try:
        return "scann_pybind" in Path(f"/proc/{process}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def proposers_of(running: RunningFunction) -> list[int]:
    return [one for one in children(nursery_of(running)) if maps_scann(one)]


def log_of(running: RunningFunction) -> str:
    return running.log.read_text()


def serves(running: RunningFunction, release_id: str) -> bool:
    return running.get("/v1/index").json()["release"] == release_id


def test_scann_is_in_a_process_of_its_own(running: RunningFunction) -> None:
    assert len(proposers_of(running)) == 1
    assert not maps_scann(worker_of(running))
    assert not maps_scann(nursery_of(running))


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGKILL])
def test_one_that_is_killed_fails_no_search_and_is_replaced(
    root: Path, tmp_path: Path, how: signal.Signals
) -> None:
    with run_function(tmp_path / "log.txt", root=str(root), max_running="2") as running:
        running.wait_until_ready()
        expected = results(running.search(PHOTO))
        (victim,) = proposers_of(running)
        with ThreadPoolExecutor(4) as pool:
            searches = [pool.submit(running.search, PHOTO) for _ in range(40)]
            os.kill(victim, how)
            assert all(results(search.result()) == expected for search in searches)
        worker = worker_of(running)
        eventually(lambda: "The tree of an index is loaded anew." in log_of(running))
        assert f"A process was ended that searches an index: {how.name}." in log_of(running)
        assert results(running.search(PHOTO)) == expected
        assert worker_of(running) == worker


def test_one_is_replaced_from_where_its_index_came_from_whatever_was_fetched_since(
    root: Path, tmp_path: Path, gcs_emulator: str
) -> None:
    upload_folder(root, gcs_emulator)
    settings = {"release_check_seconds": "0.05", "cache_dir": str(tmp_path / "cache")}
    with run_function(tmp_path / "log.txt", root=gcs_emulator, **settings) as running:
        running.wait_until_ready()
        expected = results(running.search(PHOTO))
        for release_id in (RETITLED, RETITLED_AGAIN):
            point_at(gcs_emulator, release_id)
            eventually(lambda release_id=release_id: serves(running, release_id))
        (victim,) = proposers_of(running)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in proposers_of(running))
        assert len(results(running.search(PHOTO))) == len(expected)
        eventually(lambda: "The tree of an index is loaded anew." in log_of(running))


def test_one_that_stands_still_delays_searches_and_fails_none(root: Path, tmp_path: Path) -> None:
    with run_function(tmp_path / "log.txt", root=str(root), max_running="2") as running:
        running.wait_until_ready()
        expected = results(running.search(PHOTO))
        (still,) = proposers_of(running)
        os.kill(still, signal.SIGSTOP)
        assert results(running.search(PHOTO)) == expected
        eventually(lambda: "The tree of an index is loaded anew." in log_of(running))
        assert results(running.search(PHOTO)) == expected
        os.kill(still, signal.SIGCONT)
        eventually(lambda: still not in proposers_of(running))
        assert len(proposers_of(running)) == 1


def test_the_one_of_a_release_that_was_replaced_ends(root: Path, running: RunningFunction) -> None:
    eventually(lambda: serves(running, FIRST))
    (before,) = proposers_of(running)
    point_at(root, SECOND)
    eventually(lambda: serves(running, SECOND))
    eventually(lambda: before not in proposers_of(running))
    assert results(running.search(PHOTO))
    assert len(proposers_of(running)) == 1


def test_a_tree_that_cannot_be_loaded_is_refused_and_leaves_no_process(
    root: Path, running: RunningFunction
) -> None:
    eventually(lambda: serves(running, FIRST))
    point_at(root, DAMAGED)
    eventually(lambda: "refusedRelease" in running.get("/v1/index").json())
    assert running.get("/v1/index").json()["refusedRelease"]["reason"] == "RELEASE_DAMAGED"
    assert serves(running, FIRST)
    assert "expected the files of an index of kind scann" in log_of(running)
    eventually(lambda: len(proposers_of(running)) == 1)
    assert results(running.search(PHOTO))


class Barren(Nursery):
    """Its processes end at once, as where memory is short."""

    is_there = True  # type: ignore[assignment]

    def fork(self, work: str, descriptors: Sequence[int]) -> None:
        pass


def test_one_that_ends_while_it_loads_says_nothing_against_the_release(root: Path) -> None:
    proposers = Proposers(Barren({}), questions=2)
    with pytest.raises(Unavailable, match="ended while it loaded") as error:
        open_index(root / release_prefix(FIRST) / INDEX, "scann", proposers.open)
    assert not isinstance(error.value, ReleaseError)


def test_none_is_left_behind(root: Path, tmp_path: Path) -> None:
    with run_function(tmp_path / "log.txt", root=str(root)) as running:
        running.wait_until_ready()
        (proposer,) = proposers_of(running)
        worker = worker_of(running)
        # It could not tell anybody.
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{proposer}").exists())
        running.wait_until_ready()
        assert results(running.search(PHOTO))
        (proposer,) = proposers_of(running)
    eventually(lambda: not Path(f"/proc/{proposer}").exists())
