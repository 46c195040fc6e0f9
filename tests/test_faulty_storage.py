"""The faulty storage fails as it says, and is the emulator otherwise."""

import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import IncompleteRead, RemoteDisconnected
from pathlib import Path

import pytest

from function.storage import open_storage
from tests.faulty_storage import FaultyStorage, Kind, faulty_storage

PAYLOAD = bytes(range(256)) * 40


@pytest.fixture
def proxy(
    gcs_emulator: str, gcs_server: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyStorage]:
    open_storage(gcs_emulator).write("name", PAYLOAD)
    with faulty_storage(gcs_server) as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        yield storage


def fetch(proxy: FaultyStorage, bucket: str) -> bytes:
    """The stored bytes, without a client that tries again."""
    address = f"{proxy.url}/download/storage/v1/b/{bucket[5:]}/o/name?alt=media"
    with urllib.request.urlopen(address, timeout=10) as answer:
        data: bytes = answer.read()
    return data


def test_without_faults_it_is_the_emulator(
    proxy: FaultyStorage, gcs_emulator: str, tmp_path: Path
) -> None:
    storage = open_storage(gcs_emulator)
    large = tmp_path / "large"
    large.write_bytes(os.urandom(9 << 20))  # sent to an address that the storage names
    storage.upload(large, "large")
    storage.download("large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == large.read_bytes()
    assert storage.list() == ["large", "name"]
    found = storage.read_versioned("name")
    assert found is not None
    assert found[0] == PAYLOAD
    asked = len(proxy.asked)
    storage.delete("name")
    assert len(proxy.asked) == asked + 1
    assert proxy.failed == []


@pytest.mark.parametrize("status", ["503", "429"])
def test_statuses_are_counted_and_told(
    proxy: FaultyStorage, gcs_emulator: str, status: Kind
) -> None:
    proxy.fail(status, 2, only="/o/name")
    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError, match=status) as refused:
            fetch(proxy, gcs_emulator)
        refused.value.close()
    assert fetch(proxy, gcs_emulator) == PAYLOAD
    assert [kind for kind, _ in proxy.failed] == [status] * 2


def test_a_reset_ends_the_connection(proxy: FaultyStorage, gcs_emulator: str) -> None:
    proxy.fail("reset", 1)
    with pytest.raises((ConnectionResetError, RemoteDisconnected, urllib.error.URLError)) as met:
        fetch(proxy, gcs_emulator)
    assert isinstance(getattr(met.value, "reason", met.value), ConnectionResetError)
    assert fetch(proxy, gcs_emulator) == PAYLOAD


def test_a_lost_answer_is_to_a_request_that_was_done(
    proxy: FaultyStorage, gcs_emulator: str
) -> None:
    proxy.fail("lost", 1)
    port = int(proxy.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as client:
        path = f"/storage/v1/b/{gcs_emulator[5:]}/o/name"
        client.sendall(f"DELETE {path} HTTP/1.1\r\nHost: storage\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert open_storage(gcs_emulator).list() == []


def test_bodies_come_short_or_changed(proxy: FaultyStorage, gcs_emulator: str) -> None:
    proxy.fail("truncate", 1)
    with pytest.raises(IncompleteRead):
        fetch(proxy, gcs_emulator)
    proxy.fail("corrupt", 1)
    found = fetch(proxy, gcs_emulator)
    assert len(found) == len(PAYLOAD)
    assert sum(a != b for a, b in zip(found, PAYLOAD, strict=True)) == 1


@pytest.mark.parametrize("kind", ["slow", "trickle"])
def test_slow_answers_come_whole(proxy: FaultyStorage, gcs_emulator: str, kind: Kind) -> None:
    proxy.fail(kind, 1, delay=0.3)
    start = time.monotonic()
    assert fetch(proxy, gcs_emulator) == PAYLOAD
    assert time.monotonic() - start >= 0.3


def test_faults_end_at_their_time_or_when_healed(proxy: FaultyStorage, gcs_emulator: str) -> None:
    proxy.fail("503", until=time.monotonic() - 1)
    assert fetch(proxy, gcs_emulator) == PAYLOAD
    proxy.fail("503")
    proxy.heal()
    assert fetch(proxy, gcs_emulator) == PAYLOAD
