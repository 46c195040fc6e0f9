"""A disk that is full or may not be written: said clearly, nothing half-written, uploads go on."""

import fcntl
import signal
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from PIL import Image

from function.storage import LocalStorage, StorageError, remove_abandoned
from tests.answers import PHOTO, assert_refused, results
from tests.gcs import upload_folder
from tests.releases import TinyRelease
from tests.server import RunningFunction, run_function
from tests.waiting import eventually

# Of one file, in blocks of 512 bytes: more than a log needs, less than the release's catalogue.
LARGEST_FILE_BLOCKS = 60


@pytest.fixture
def small_disk_python(tmp_path: Path) -> Path:
    """Python in whose process no file can become large, as on a disk that is nearly full."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nulimit -f {LARGEST_FILE_BLOCKS}\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    return script


def large_upload() -> bytes:
    """Far more than a form's file may have before it is put on disk by default."""
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def test_large_uploads_need_no_disk(
    tiny_release: TinyRelease, small_disk_python: Path, tmp_path: Path
) -> None:
    upload = large_upload()
    assert len(upload) > 2_000_000
    # Decoders share memory as a file, which the limit takes for one and a full disk does not.
    settings = {"root": str(tiny_release.root), "decoding": "thread"}
    with run_function(tmp_path / "log.txt", python=small_disk_python, **settings) as running:
        running.wait_until_ready()
        assert results(running.search(upload))
        assert results(running.search(PHOTO))


def refusal(running: RunningFunction) -> str:
    def told() -> list[str]:
        lines = running.log_lines()
        return [x["message"] for x in lines if "No release was loaded" in x["message"]]

    eventually(lambda: bool(told()))
    return told()[0]


def test_a_full_disk_under_the_cache_is_named_and_leaves_no_half_file(
    tiny_release: TinyRelease, small_disk_python: Path, tmp_path: Path, gcs_emulator: str
) -> None:
    upload_folder(tiny_release.root, gcs_emulator, without={"checkpoint", "images"})
    cache = tmp_path / "cache"
    log = tmp_path / "log.txt"
    chosen = {"root": gcs_emulator, "cache_dir": str(cache)}
    with run_function(log, python=small_disk_python, **chosen) as running:
        message = refusal(running)
        assert str(cache) in message
        assert "catalog.sqlite: cannot be written (File too large). Free space" in message
        assert "LOOKALIKE_CACHE_DIR" in message
        answer = running.search(PHOTO)
        assert_refused(answer, 503, "NO_VALID_RELEASE")
        assert str(tmp_path) not in answer.body.decode()
        names = {file.name for file in cache.rglob("*") if file.is_file()}
        assert names <= {"dataset.npy", "golden.npz"}
    # The same folder serves as soon as there is room.
    with run_function(log, **chosen) as running:
        running.wait_until_ready()
        assert results(running.search(PHOTO))


def test_a_cache_that_cannot_be_made_is_named(
    tiny_release: TinyRelease, tmp_path: Path, gcs_emulator: str
) -> None:
    upload_folder(tiny_release.root, gcs_emulator, without={"checkpoint", "images"})
    chosen = {"root": gcs_emulator, "cache_dir": "/dev/null/cache"}
    with run_function(tmp_path / "log.txt", **chosen) as running:
        message = refusal(running)
        assert "/dev/null/cache/" in message
        assert "cannot be written (Not a directory). Free space there, or choose" in message


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(tmp_path)
    storage.write("data", b"old")

    def fill(self: Path, data: bytes) -> int:
        with Path("/dev/full").open("wb", buffering=0) as full:
            return full.write(data)

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(StorageError, match=r"data: cannot be written \(No space left on device"):
        storage.write("data", b"new")
    assert storage.list() == ["data"]
    assert [file.name for file in tmp_path.iterdir()] == ["data"]
    assert storage.read("data") == b"old"


WRITER = """
import sys, time
from pathlib import Path
from function.storage.files import replacing
with replacing(Path(sys.argv[1])) as partial:
    partial.write_bytes(b"half")
    print("up", flush=True)
    time.sleep(600)
"""


def test_half_files_of_killed_processes_are_removed_and_those_of_others_kept(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", WRITER]
    with (
        subprocess.Popen([*command, str(tmp_path / "a" / "one")], stdout=subprocess.PIPE) as killed,
        subprocess.Popen([*command, str(tmp_path / "b" / "two")], stdout=subprocess.PIPE) as alive,
    ):
        for writer in (killed, alive):
            assert writer.stdout is not None
            writer.stdout.readline()
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        (tmp_path / "a" / "whole").write_bytes(b"whole")
        assert len(list((tmp_path / "a").iterdir())) == 2
        remove_abandoned(tmp_path)
        assert [file.name for file in (tmp_path / "a").iterdir()] == ["whole"]
        assert len(list((tmp_path / "b").iterdir())) == 1
        alive.kill()


def test_a_file_that_is_removed_before_it_could_be_held_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, removals = fcntl.flock, iter((True, True, False))

    def lock_late(file: BinaryIO, operation: int) -> None:
        if operation == fcntl.LOCK_EX and next(removals):
            remove_abandoned(tmp_path)
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    LocalStorage(tmp_path).write("data", b"whole")
    assert not list(removals)
    assert [file.name for file in tmp_path.iterdir()] == ["data"]
    assert (tmp_path / "data").read_bytes() == b"whole"
