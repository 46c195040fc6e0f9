"""A folder and a bucket keep the same promises."""

import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from function.storage import (
    Conflict,
    GoogleStorage,
    NotFoundInStorage,
    Storage,
    StorageError,
    open_storage,
)


@pytest.fixture
def storage(storage_root: str) -> Storage:
    return open_storage(storage_root)


def test_what_is_written_is_read(storage: Storage) -> None:
    storage.write("a/b.json", b"first", content_type="application/json", cache_control="no-store")
    storage.write("a/b.json", b"second")
    assert storage.read("a/b.json") == b"second"
    assert storage.size("a/b.json") == 6
    assert storage.exists("a/b.json")


def test_files_go_up_and_come_down_unchanged(storage: Storage, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    sent.write_bytes(os.urandom(9 << 20))  # above 8 MiB the client switches to resumable uploads
    storage.upload(sent, "deep/er/file.bin")
    storage.download("deep/er/file.bin", tmp_path / "new folder" / "received")
    assert (tmp_path / "new folder" / "received").read_bytes() == sent.read_bytes()


def test_absent_names_are_said_to_be_absent(storage: Storage, tmp_path: Path) -> None:
    assert not storage.exists("nothing")
    assert storage.read_versioned("nothing") is None
    assert storage.list("nothing") == []
    storage.delete("nothing")
    for verb in (storage.read, storage.size):
        with pytest.raises(NotFoundInStorage, match="nothing does not exist"):
            verb("nothing")
    with pytest.raises(NotFoundInStorage):
        storage.download("nothing", tmp_path / "nothing")
    assert list(tmp_path.glob("*nothing*")) == []


def test_a_folder_is_no_file(storage: Storage) -> None:
    storage.write("a/b", b"")
    assert not storage.exists("a")
    with pytest.raises(NotFoundInStorage):
        storage.read("a")


def test_list_walks_one_folder_and_no_lookalike_of_it(storage: Storage) -> None:
    for name in ("run/1/b", "run/1/a", "run/2", "runs/3", "z"):
        storage.write(name, b"x")
    assert storage.list("run") == ["run/1/a", "run/1/b", "run/2"]
    assert storage.list() == ["run/1/a", "run/1/b", "run/2", "runs/3", "z"]
    storage.delete("run/2")
    assert storage.list("run") == ["run/1/a", "run/1/b"]


def test_a_child_is_the_same_bytes_under_shorter_names(storage: Storage) -> None:
    child = storage.child("runs/7")
    child.write("log", b"line")
    assert storage.read("runs/7/log") == b"line"
    assert child.list() == ["log"]
    assert child.url == f"{storage.url}/runs/7"


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/", "a\\b", "a\0b"]
)
def test_names_that_leave_the_root_are_refused(storage: Storage, name: str, tmp_path: Path) -> None:
    verbs = (
        lambda: storage.read(name),
        lambda: storage.write(name, b""),
        lambda: storage.upload(Path(__file__), name),
        lambda: storage.download(name, tmp_path / "out"),
        lambda: storage.exists(name),
        lambda: storage.delete(name),
        lambda: storage.compare_and_set(name, b"", None),
        lambda: storage.child(name),
    )
    for verb in verbs:
        with pytest.raises(ValueError, match="no name under a root"):
            verb()


def test_a_swap_needs_the_version_that_is_there(storage: Storage) -> None:
    first = storage.compare_and_set("current.json", b"1", None)
    second = storage.compare_and_set("current.json", b"2", first)
    for stale in (None, first):
        with pytest.raises(Conflict, match="another writer"):
            storage.compare_and_set("current.json", b"3", stale)
    assert storage.read_versioned("current.json") == (b"2", second)
    assert storage.list() == ["current.json"]


@pytest.mark.parametrize("exists", [False, True])
def test_of_sixteen_racing_writers_one_wins(storage: Storage, exists: bool) -> None:
    expected = storage.compare_and_set("current.json", b"before", None) if exists else None
    start = threading.Barrier(16)

    def swap(writer: int) -> int | None:
        start.wait()
        try:
            storage.compare_and_set("current.json", b"%d" % writer, expected)
        except Conflict:
            return None
        return writer

    with ThreadPoolExecutor(16) as pool:
        winners = [writer for writer in pool.map(swap, range(16)) if writer is not None]
    assert len(winners) == 1
    assert storage.read("current.json") == b"%d" % winners[0]


def test_readers_never_see_half_a_write(storage: Storage) -> None:
    storage.write("data", b"a" * 200_000)
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            storage.write("data", b"b" * 300_000)
            storage.write("data", b"a" * 200_000)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(replace)
        try:
            for _ in range(30):
                data = storage.read("data")
                assert data in (b"a" * 200_000, b"b" * 300_000)
        finally:
            stop.set()
        writing.result()


def test_a_killed_writer_leaves_the_old_file_and_no_visible_rest(tmp_path: Path) -> None:
    open_storage(tmp_path).write("data", b"old")
    script = (
        "import sys; from function.storage import open_storage\n"
        "storage = open_storage(sys.argv[1]); print('up', flush=True)\n"
        "while True: storage.write('data', b'new' * 3_000_000)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        threading.Event().wait(0.05)
        writer.send_signal(signal.SIGKILL)
    storage = open_storage(tmp_path)
    assert storage.list() == ["data"]
    assert storage.read("data") in (b"old", b"new" * 3_000_000)


def test_a_lost_answer_to_our_own_write_counts_as_won(
    gcs_emulator: str, gcs_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _AnswerLost(int(gcs_server.rpartition(":")[2])) as port:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        version = open_storage(gcs_emulator).compare_and_set("current.json", b"mine", None)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    assert open_storage(gcs_emulator).read_versioned("current.json") == (b"mine", version)


class _AnswerLost:
    """A proxy that hands on every request, but drops the first answer and its connection."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._lost = False

    def __enter__(self) -> int:
        self._thread.start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        assert self._lost

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, socket.create_connection(self._target) as server:
                server.sendall(_read_message(client))
                answer = _read_message(server)
                if self._lost:
                    client.sendall(answer)
                self._lost = True


def _read_message(connection: socket.socket) -> bytes:
    """Read one HTTP message with a Content-Length; empty at the connection's end."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        if not received:
            return b""
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    ]
    while len(body) < sum(lengths):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def test_a_missing_bucket_and_an_odd_root_are_named(gcs_emulator: str, tmp_path: Path) -> None:
    with pytest.raises(NotFoundInStorage, match="gs://no-such-bucket/x/name does not exist"):
        open_storage("gs://no-such-bucket/x").read("name")
    with pytest.raises(StorageError, match="found s3://"):
        open_storage("s3://bucket")
    with pytest.raises(StorageError, match="found no bucket"):
        open_storage("gs://")


def test_an_unreachable_store_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    storage = GoogleStorage.connect("bucket", "", retry_seconds=0.1)
    with pytest.raises(StorageError, match=r"gs://bucket/name: cannot be reached"):
        storage.read("name")
