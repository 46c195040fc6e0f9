"""Downloads go on where they ended, and are never taken for whole before they are."""

import hashlib
import re
from pathlib import Path

import pytest

from tests.trainer.data.file_server import CONTENT, Server
from trainer.data.download import check_md5, download
from trainer.errors import CatalogError


def test_a_file_comes_whole(server: Server, tmp_path: Path) -> None:
    partial = download(server.url, tmp_path / "new" / "archive.zip")
    assert partial.read_bytes() == CONTENT
    assert [file.name for file in partial.parent.iterdir()] == ["archive.zip.partial"]


def test_a_connection_that_breaks_is_taken_up_again(server: Server, tmp_path: Path) -> None:
    server.breaks_after = [1_000_000, 2_000_000]
    assert download(server.url, tmp_path / "a").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000000-", "bytes=3000000-"]


def test_an_interrupted_download_goes_on(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.partial").write_bytes(CONTENT[:4_000_000])
    assert download(server.url, tmp_path / "a").read_bytes() == CONTENT
    assert server.asked == ["bytes=4000000-"]


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "a.partial").write_bytes(b"something else")
    assert download(server.url, tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("kept", [CONTENT, CONTENT + b"too much"])
def test_what_is_all_there_or_more_is_noticed(server: Server, tmp_path: Path, kept: bytes) -> None:
    (tmp_path / "a.partial").write_bytes(kept)
    assert download(server.url, tmp_path / "a").read_bytes() == CONTENT


def test_a_connection_that_brings_nothing_ends_with_what_to_do(
    server: Server, tmp_path: Path
) -> None:
    server.breaks_after = [10, 0, 0, 0]
    with pytest.raises(CatalogError, match=r"10 bytes are kept in .*a\.partial: run the same"):
        download(server.url, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_refusal_is_told_at_once(server: Server, tmp_path: Path) -> None:
    server.status = 403
    with pytest.raises(CatalogError, match=f"{re.escape(server.url)} answers 403"):
        download(server.url, tmp_path / "a")
    assert len(server.asked) == 1


def test_another_checksum_is_told_with_both(tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(CONTENT)
    found = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    check_md5(file, found)
    with pytest.raises(CatalogError, match=f"a.zip: expected md5 {'0' * 32}, found {found}"):
        check_md5(file, "0" * 32)
