"""Google's storage through a network that fails: the right bytes come, or the reason why not."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from function.errors import DeadlineExceeded
from function.storage import GoogleStorage, StorageError, open_storage
from tests.faulty_storage import FaultyStorage, Kind, faulty_storage

KINDS: tuple[Kind, ...] = ("503", "429", "reset", "lost", "slow", "trickle", "truncate", "corrupt")
# What the client library cannot tell from a stored object that is really so.
ENDS_THE_READ: tuple[Kind, ...] = ("corrupt",)
BYTES = os.urandom(300_000)
SILENT_SECONDS = 600.0

# Google's client lets go of the sockets of refused downloads without closing them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def network(gcs_emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyStorage]:
    """Between every client and the emulator."""
    with faulty_storage(os.environ["STORAGE_EMULATOR_HOST"]) as network:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", network.url)
        yield network


@pytest.fixture
def storage(network: FaultyStorage, gcs_emulator: str) -> GoogleStorage:
    """A bucket with `data`; it is given up after three seconds."""
    storage = GoogleStorage.connect(gcs_emulator.removeprefix("gs://"), "", retry_seconds=3)
    storage.write("data", BYTES)
    return storage


def outcome(storage: GoogleStorage, verb: str, folder: Path) -> bytes | StorageError:
    try:
        if verb == "read":
            return storage.read("data")
        if verb == "read_versioned":
            found = storage.read_versioned("data")
            assert found is not None
            return found[0]
        storage.download("data", folder / "received")
        return (folder / "received").read_bytes()
    except StorageError as error:
        return error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", ["read", "read_versioned", "download"])
def test_one_failure_is_got_over_or_told(
    network: FaultyStorage, storage: GoogleStorage, tmp_path: Path, kind: Kind, verb: str
) -> None:
    network.fail(kind, count=1, only="GET /download", delay=0.2)
    found = outcome(storage, verb, tmp_path)
    assert [failed for failed, _ in network.failed] == [kind]
    if kind in ENDS_THE_READ:
        assert isinstance(found, StorageError)
        assert "data: came with another checksum" in found.message
        assert list(tmp_path.iterdir()) == []
        found = outcome(storage, verb, tmp_path)
    assert found == BYTES


@pytest.mark.parametrize("kind", ["503", "429", "reset", "truncate"])
def test_failure_without_end_is_told_and_leaves_nothing(
    network: FaultyStorage, storage: GoogleStorage, tmp_path: Path, kind: Kind
) -> None:
    network.fail(kind)
    hasty = storage.until(time.monotonic() + 1)
    found = outcome(hasty, "download", tmp_path)
    assert isinstance(found, StorageError)
    assert "data: cannot be reached" in found.message
    assert list(tmp_path.iterdir()) == []


def test_silence_is_waited_for_no_longer_than_the_caller_has(
    network: FaultyStorage, storage: GoogleStorage
) -> None:
    network.fail("slow", delay=SILENT_SECONDS)
    start = time.monotonic()
    with pytest.raises(StorageError, match="cannot be reached"):
        storage.until(start + 1).read("data")
    # Ten times what was allowed: machines that test are busy.
    assert time.monotonic() - start < 10


def test_bytes_that_come_too_slowly_are_given_up_at_the_deadline(
    network: FaultyStorage, storage: GoogleStorage
) -> None:
    network.fail("trickle", delay=60)
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        storage.until(start + 3).read("data")
    assert time.monotonic() - start < 30


def test_who_has_no_time_left_does_not_begin(
    network: FaultyStorage, storage: GoogleStorage
) -> None:
    before = len(network.asked)
    with pytest.raises(DeadlineExceeded):
        storage.until(time.monotonic()).read("data")
    assert len(network.asked) == before


def test_a_deadline_holds_for_what_lies_below_and_can_only_come_nearer(
    gcs_emulator: str,
) -> None:
    late = open_storage(gcs_emulator).until(time.monotonic()).until(time.monotonic() + 60)
    with pytest.raises(DeadlineExceeded):
        late.child("folder").exists("name")
