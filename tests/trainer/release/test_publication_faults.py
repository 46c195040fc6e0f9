"""A publisher that dies anywhere, or whose disk is full, leaves the old release or the new one."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from function.manifest import MANIFEST
from function.release import (
    current_release_id,
    fetch_release,
    file_info,
    list_releases,
    read_manifest,
)
from function.storage import open_storage
from tests.releases import TinyRelease
from tests.trainer.release.killed_publisher import publish

NEW = "20270101T000000.000Z-abcdef01"
EVERY_CHANGE = 10_000


@pytest.fixture(scope="module")
def built(tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release's folder, as `build_release` leaves it: another one than the root has."""
    folder = tmp_path_factory.mktemp("built") / NEW
    shutil.copytree(tiny_release.root / "releases" / tiny_release.release_id, folder)
    manifest = tiny_release.manifest
    (folder / MANIFEST).write_bytes(replace(manifest, release_id=NEW).to_json())
    return folder


def killed(
    built: Path, template: Path, out: Path, kind: str, first: int, step: int, last: int
) -> list[tuple[Path, int]]:
    """The roots that publishers left which died, and how these ended."""
    command = [sys.executable, "-m", "tests.trainer.release.killed_publisher"]
    command += [str(built), str(template), str(out), kind, str(first), str(step), str(last)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    ends = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    return [(out / str(number), status) for number, status in ends]


def check_whole(root: Path, old: str) -> bool:
    """All that a reader sees is whole; whether the new release is current."""
    storage = open_storage(root)
    current = current_release_id(storage)
    assert current in (old, NEW)
    for release_id in {current, *list_releases(storage)}:
        fetch_release(storage, release_id, root / "unused", engine=None)
    assert not any(".~" in name for name in storage.list())
    return current == NEW


def check_one_turn(current: list[bool]) -> None:
    """The later a publisher dies, the new release is not current, then it is, with little to come.

    How many files a checkpoint has differs from one to the next, and so where a series ends: a
    publisher may still die between the pointer's replacement and the end, when it tidies up.
    """
    assert current == sorted(current)
    assert not current[0]
    assert current[-1]
    assert current.count(True) <= 2


def check_rerun(built: Path, root: Path, old: str) -> None:
    """The same publication completes, whatever the killed one left."""
    publish(built, root)
    assert check_whole(root, old)
    assert list_releases(open_storage(root)) == [old, NEW]


def test_killed_before_some_changes_of_a_file_no_half_release_is_in_sight(
    tiny_release: TinyRelease, built: Path, tmp_path: Path
) -> None:
    old = tiny_release.release_id
    ends = killed(built, tiny_release.root, tmp_path, "event", 1, 9, EVERY_CHANGE)
    assert [status for _, status in ends] == [-signal.SIGKILL] * (len(ends) - 1) + [0]
    assert len(ends) > 5
    check_one_turn([check_whole(root, old) for root, _ in ends])
    check_rerun(built, ends[len(ends) // 2][0], old)


@pytest.mark.slow
def test_killed_before_every_change_of_a_file_no_half_release_is_in_sight(
    tiny_release: TinyRelease, built: Path, tmp_path: Path
) -> None:
    old = tiny_release.release_id
    ends = killed(built, tiny_release.root, tmp_path, "event", 1, 1, EVERY_CHANGE)
    # At the least a new file, and its place taken, for each file, the manifest and the pointer.
    assert len(ends) > 2 * (len(read_manifest(open_storage(tiny_release.root), old).files) + 2)
    check_one_turn([check_whole(root, old) for root, _ in ends])
    for root, _ in ends[::4]:
        check_rerun(built, root, old)


@pytest.mark.parametrize(("kind", "status"), [("byte", -signal.SIGXFSZ), ("full", 28)])
def test_cut_off_inside_a_file_no_half_release_is_in_sight(
    tiny_release: TinyRelease, built: Path, tmp_path: Path, kind: str, status: int
) -> None:
    """Killed by the kernel inside a file, or told by it that no more fits."""
    old = tiny_release.release_id
    sizes = sorted(file_info(path).size for path in built.rglob("*") if path.is_file())
    middle, largest = sizes[len(sizes) // 2], sizes[-1]
    for number in (1, middle - 1, largest - 1):
        out = tmp_path / str(number)
        ((root, ended),) = killed(built, tiny_release.root, out, kind, number, 1, number)
        assert ended == status
        assert not check_whole(root, old)
    check_rerun(built, root, old)


_ON_A_SMALL_DISK = """
import subprocess, sys
from pathlib import Path
from function.storage import StorageError, open_storage
from function.release import current_release_id, list_releases
from tests.trainer.release.killed_publisher import publish
built, template, root = map(Path, sys.argv[1:])
mount = ["mount", "-t", "tmpfs", "-o"]
subprocess.run([*mount, "size=2m", "none", str(root)], check=True)
subprocess.run(["cp", "-r", f"{template}/.", str(root)], check=True)
try:
    publish(built, root)
except StorageError as error:
    print(error.message)
storage = open_storage(root)
print(current_release_id(storage), *list_releases(storage))
subprocess.run([*mount, "remount,size=64m", "none", str(root)], check=True)
publish(built, root)
print(current_release_id(storage))
"""


def test_a_full_disk_is_said_and_room_lets_it_go_on(
    tiny_release: TinyRelease, built: Path, tmp_path: Path
) -> None:
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    root = tmp_path / "disk"
    root.mkdir()
    probe = [*alone, "mount", "-t", "tmpfs", "none", str(root)]
    if not shutil.which("unshare") or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a small disk of their own")
    done = subprocess.run(
        [*alone, sys.executable, "-c", _ON_A_SMALL_DISK, built, tiny_release.root, root],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told, *after = done.stdout.splitlines()
    assert f"cannot be written ({os.strerror(28)}). Free space there" in told
    assert after == [f"{tiny_release.release_id} {tiny_release.release_id}", NEW]
