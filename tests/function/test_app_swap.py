"""Another release takes the place of the one that serves; one that cannot leaves it in its place.

All of it at the real function, which looks at the pointer all the time.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from function.errors import ReleaseFault
from function.release import POINTER, release_prefix
from function.storage import open_storage
from tests.answers import PHOTO, assert_refused, results
from tests.gcs import make_bucket, run_gcs, upload_folder
from tests.processes import needs_proc, worker_of
from tests.releases import TinyRelease
from tests.server import Answer, RunningFunction, run_function
from tests.successors import (
    add_successor,
    come_from_the_future,
    flip_a_byte,
    lose_a_file,
    point_at,
    retitle,
    rewrite_index,
    rewrite_program,
    turn_golden_vectors,
)
from tests.waiting import eventually

SECOND, THIRD = "second", "third"


@pytest.fixture(scope="module")
def root(tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With two releases more: SECOND has another catalogue, THIRD another program and index too."""
    root = tmp_path_factory.mktemp("swap") / "root"
    shutil.copytree(tiny_release.root, root)
    add_successor(root, tiny_release.release_id, SECOND, retitle(SECOND))
    changes = (retitle(THIRD), rewrite_index, rewrite_program)
    add_successor(root, tiny_release.release_id, THIRD, *changes)
    return root


@pytest.fixture(scope="module")
def server(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFunction]:
    log = tmp_path_factory.mktemp("swap") / "log.txt"
    with run_function(log, root=str(root), release_check_seconds="0.05") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def swapping(server: RunningFunction, root: Path, tiny_release: TinyRelease) -> RunningFunction:
    """The function, serving the tiny release."""
    swap(server, root, tiny_release.release_id)
    return server


def index(running: RunningFunction) -> dict[str, Any]:
    answer: dict[str, Any] = running.get("/v1/index").json()
    return answer


def swap(running: RunningFunction, root: Path | str, release_id: str) -> None:
    point_at(root, release_id)

    def serves() -> bool:
        found = index(running)
        return found["release"] == release_id and "refusedRelease" not in found

    eventually(serves)


def titles(answer: Answer) -> set[str]:
    return {result["product"]["displayName"] for result in results(answer)}


def test_the_newer_release_serves_and_the_pointer_leads_back(
    swapping: RunningFunction, root: Path, tiny_release: TinyRelease
) -> None:
    before = swapping.search(PHOTO)
    loads = swapping.metric('lookalike_release_loads_total{outcome="loaded"}')
    for release_id in (SECOND, THIRD):
        swap(swapping, root, release_id)
        answer = swapping.search(PHOTO)
        assert titles(answer) == {release_id}
        assert answer.json()["indexVersion"] == release_id
        assert f'release="{release_id}"' in swapping.get("/metrics").body.decode()
    swap(swapping, root, tiny_release.release_id)
    assert results(swapping.search(PHOTO)) == results(before)
    assert swapping.metric('lookalike_release_loads_total{outcome="loaded"}') == loads + 3


def test_program_and_index_are_loaded_again_only_where_they_differ(
    swapping: RunningFunction, root: Path
) -> None:
    opening = [f'lookalike_loading_seconds{{stage="open {part}"}}' for part in ("program", "index")]
    swap(swapping, root, SECOND)
    assert [swapping.metric(name) for name in opening] == [0, 0]
    swap(swapping, root, THIRD)
    assert all(swapping.metric(name) > 0 for name in opening)


@needs_proc
def test_no_search_waits_for_a_thread_that_stands_back(
    swapping: RunningFunction, root: Path
) -> None:
    swap(swapping, root, THIRD)
    # Those that compiled it, or end with the one before, are busy for a while.
    eventually(lambda: busy_in(swapping, searches=20) == {os.getpriority(os.PRIO_PROCESS, 0)})


def busy_in(running: RunningFunction, *, searches: int) -> set[int]:
    """The niceness of those threads of the worker that have to do with searches."""
    worker = worker_of(running)
    before = waits_of(worker)
    for _ in range(searches):
        assert running.search(PHOTO).status == 200
    after = waits_of(worker)
    return {nice for nice, name in after if after[nice, name] > before.get((nice, name), 0)}


def waits_of(process: int) -> dict[tuple[int, str], int]:
    """How often threads have waited, by their niceness and number."""
    found = {}
    for task in Path(f"/proc/{process}/task").iterdir():
        with suppress(OSError):  # it has ended: one looks at the pointer now and then
            nice = os.getpriority(os.PRIO_PROCESS, int(task.name))
            (waits,) = re.findall(
                r"\nvoluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text()
            )
            found[nice, task.name] = int(waits)
    return found


def test_page_tokens_and_etags_end_with_their_release(
    swapping: RunningFunction, root: Path
) -> None:
    token = swapping.search(PHOTO, pageSize=2).json()["nextPageToken"]
    etag = swapping.get("/v1/index").headers["ETag"]
    assert swapping.get("/v1/index", **{"If-None-Match": etag}).status == 304
    swap(swapping, root, SECOND)
    expired = swapping.search(PHOTO, pageSize=2, pageToken=token)
    assert_refused(expired, 400, "PAGE_TOKEN_EXPIRED")
    assert swapping.get("/v1/index", **{"If-None-Match": etag}).status == 200


def test_under_load_every_answer_is_of_one_release_and_none_is_lost(
    swapping: RunningFunction, root: Path, tiny_release: TinyRelease
) -> None:
    seen: set[str] = set()
    stop = False

    def search(number: int) -> None:
        while not stop:
            path = "/v1/products/p1:similar"
            answer = swapping.search(PHOTO) if number else swapping.request("POST", path, "")
            assert answer.status == 200, answer.body
            version = answer.json()["indexVersion"]
            expected = {version} if version in (SECOND, THIRD) else originals
            assert titles(answer) <= expected, version
            seen.add(version)

    originals = titles(swapping.search(PHOTO)) | {"Product 1"}
    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(search, number) for number in range(4)]
        try:
            for release_id in (SECOND, THIRD, tiny_release.release_id, THIRD, SECOND):
                swap(swapping, root, release_id)
        finally:
            stop = True
        for client in clients:
            client.result()
    assert {SECOND, THIRD} < seen


def remove_the_pointer(root: Path, release_id: str) -> str:
    (root / POINTER).unlink()
    return ""


def write_garbage(root: Path, release_id: str) -> str:
    (root / POINTER).write_bytes(b"{release")
    return ""


def point_at_nothing(root: Path, release_id: str) -> str:
    point_at(root, "removed")
    return "removed"


def bad(
    name: str, *changes: Callable[[Path], None], damage: Callable[[Path], None] | None = None
) -> Callable[[Path, str], str]:
    def publish(root: Path, release_id: str) -> str:
        add_successor(root, release_id, name, *changes)
        if damage:
            damage(root / release_prefix(name))
        point_at(root, name)
        return name

    return publish


BAD: dict[str, tuple[ReleaseFault, Callable[[Path, str], str], str]] = {
    "no pointer": ("POINTER_MISSING", remove_the_pointer, "expected a published release"),
    "garbage": ("POINTER_INVALID", write_garbage, POINTER),
    "removed release": ("RELEASE_MISSING", point_at_nothing, "removed does not exist"),
    "lost file": ("RELEASE_DAMAGED", bad("lost", damage=lose_a_file), "catalog.sqlite"),
    "flipped byte": ("RELEASE_DAMAGED", bad("flipped", damage=flip_a_byte), "catalog.sqlite"),
    "other vectors": ("GOLDEN_MISMATCH", bad("turned", turn_golden_vectors), "golden.npz"),
    "other program's vectors": (
        "GOLDEN_MISMATCH",
        bad("turned-too", rewrite_program, turn_golden_vectors),
        "golden.npz",
    ),
    "later schema": (
        "SCHEMA_UNSUPPORTED",
        bad("future", damage=come_from_the_future),
        "schema_version",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_release_is_refused_and_told_and_the_one_before_serves_on(
    swapping: RunningFunction, root: Path, tiny_release: TinyRelease, name: str
) -> None:
    fault, publish, named = BAD[name]
    before = results(swapping.search(PHOTO))
    refusals = swapping.metric('lookalike_release_loads_total{outcome="refused"}')
    earlier = len(swapping.log_lines())
    refused = publish(root, tiny_release.release_id)
    eventually(lambda: "refusedRelease" in index(swapping))
    told = index(swapping)["refusedRelease"]
    assert told == {"release": refused, "reason": fault, "time": told["time"]}
    assert abs(time.time() - time.mktime(time.strptime(told["time"], "%Y-%m-%dT%H:%M:%SZ"))) < 60
    # It looks many times more, and says and tries nothing again.
    time.sleep(0.5)
    assert index(swapping)["release"] == tiny_release.release_id
    assert results(swapping.search(PHOTO)) == before
    (line,) = (x for x in swapping.log_lines()[earlier:] if x["severity"] == "ERROR")
    assert line["fault"] == fault
    assert named in line["message"]
    assert swapping.metric('lookalike_release_loads_total{outcome="refused"}') == refusals + 1
    assert swapping.metric("lookalike_release_refused ") == 1
    swap(swapping, root, tiny_release.release_id)
    assert swapping.metric("lookalike_release_refused ") == 0


def test_a_refused_release_that_the_pointer_is_led_away_from_may_come_again(
    swapping: RunningFunction, root: Path, tiny_release: TinyRelease
) -> None:
    mended = add_successor(root, tiny_release.release_id, "mended", retitle("mended"))
    lost = root / release_prefix(mended) / "catalog.sqlite"
    content = lost.read_bytes()
    lost.unlink()
    point_at(root, mended)
    eventually(lambda: "refusedRelease" in index(swapping))
    lost.write_bytes(content)
    swap(swapping, root, tiny_release.release_id)
    swap(swapping, root, mended)
    assert titles(swapping.search(PHOTO)) == {"mended"}


@pytest.mark.skipif(not Path("/proc").exists(), reason="asks Linux what a process holds")
def test_what_was_replaced_is_let_go_even_after_requests_that_failed(
    swapping: RunningFunction, root: Path, tiny_release: TinyRelease
) -> None:
    old = root / release_prefix(tiny_release.release_id)
    swapping.search(PHOTO, explain="true")
    assert held_files(swapping, old)
    for _ in range(20):
        assert swapping.get("/v1/products/none").status == 404
        assert swapping.search(b"no photo").status == 415
        assert swapping.search(PHOTO, pageToken="none").status == 400
    swap(swapping, root, THIRD)
    eventually(lambda: not held_files(swapping, old))


def held_files(running: RunningFunction, folder: Path) -> set[str]:
    """Files below a folder that the function has open or mapped."""
    found = set()
    for process in worker_ids(running):
        for link in Path(f"/proc/{process}/fd").iterdir():
            try:
                found.add(str(link.readlink()))
            except OSError:  # closed meanwhile
                continue
        maps = Path(f"/proc/{process}/maps").read_text().splitlines()
        found |= {line.split(maxsplit=5)[5] for line in maps if line.count("/")}
    return {name for name in found if name.startswith(f"{folder}/")}


def worker_ids(running: RunningFunction) -> list[int]:
    parent = running.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in children]


def test_zero_seconds_never_look(tiny_release: TinyRelease, root: Path, tmp_path: Path) -> None:
    copied = tmp_path / "root"
    shutil.copytree(root, copied)
    point_at(copied, SECOND)
    log = tmp_path / "log.txt"
    with run_function(log, root=str(copied), release_check_seconds="0") as running:
        running.wait_until_ready()
        point_at(copied, THIRD)
        for _ in range(10):
            assert index(running)["release"] == SECOND
            time.sleep(0.05)


def test_a_bucket_s_files_are_fetched_beside_the_old_ones_which_are_dropped_after_the_swap(
    root: Path, tiny_release: TinyRelease, tmp_path: Path, gcs_emulator: str
) -> None:
    upload_folder(root, gcs_emulator)
    point_at(gcs_emulator, tiny_release.release_id)
    cache = tmp_path / "cache"
    log = tmp_path / "log.txt"
    settings = {"release_check_seconds": "0.05", "cache_dir": str(cache)}
    with run_function(log, root=gcs_emulator, **settings) as running:
        running.wait_until_ready()
        first, rest = tiny_release.release_id, {"catalog.sqlite", "golden.npz"}
        assert kept(cache) == {first: {"index", *rest}}
        swap(running, gcs_emulator, SECOND)
        # Its program and its index are the first one's, which are loaded; a tree may be again.
        eventually(lambda: kept(cache) == {first: {"index"}, SECOND: rest})
        swap(running, gcs_emulator, THIRD)
        eventually(lambda: kept(cache) == {THIRD: {"index", *rest}})
        open_storage(gcs_emulator).delete(f"{release_prefix(SECOND)}/golden.npz")
        point_at(gcs_emulator, SECOND)
        eventually(lambda: "refusedRelease" in index(running))
        # Nor is what was fetched of a refused release kept.
        eventually(lambda: kept(cache).keys() == {THIRD})
        assert titles(running.search(PHOTO)) == {THIRD}


def kept(cache: Path) -> dict[str, set[str]]:
    """What is in a cache of each release. A program is never a file there."""
    folders = cache.glob("*/releases/*")
    return {folder.name: {path.name for path in folder.iterdir()} for folder in folders}


@pytest.mark.slow
def test_memory_is_flat_over_many_swaps(
    swapping: RunningFunction, root: Path, tiny_release: TinyRelease
) -> None:
    def swaps(rounds: int) -> float:
        for _ in range(rounds):
            for release_id in (SECOND, THIRD, tiny_release.release_id):
                swap(swapping, root, release_id)
                assert swapping.search(PHOTO, explain="true").status == 200
        # The last one's predecessor is freed after the swap.
        time.sleep(1)
        return swapping.metric("process_resident_memory_bytes ") / 1e6

    early = swaps(10)
    late = swaps(40)
    assert late - early < 5


@pytest.mark.slow
def test_while_the_storage_cannot_be_reached_the_release_serves_on(
    tiny_release: TinyRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_gcs(tmp_path / "gcs.txt") as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        root = make_bucket(url)
        upload_folder(tiny_release.root, root)
        log, cache = tmp_path / "log.txt", str(tmp_path / "cache")
        starting = run_function(log, root=root, release_check_seconds="0.2", cache_dir=cache)
        running = starting.__enter__()
        running.wait_until_ready()
    # The emulator has ended; the client tries for half a minute.
    try:
        failed = 'lookalike_release_loads_total{outcome="failed"}'
        end = time.monotonic() + 90
        while running.metric(failed) == 0:
            assert running.search(PHOTO).status == 200
            assert time.monotonic() < end
            time.sleep(0.2)
        assert "refusedRelease" not in index(running)
        warned = [x for x in running.log_lines() if "serves on" in x["message"]]
        assert [line["severity"] for line in warned] == ["WARNING"]
    finally:
        starting.__exit__(None, None, None)
