"""`lookalike releases …`: what scripts and people get to see, and the exit statuses."""

import json
import sys
from io import StringIO
from pathlib import Path

import pytest

from function.manifest import EMBEDDER_ONNX
from function.release import list_releases, read_manifest
from function.storage import Storage, open_storage
from tests.many_releases import FIRST, SECOND, THIRD, AddRelease
from trainer.cli import main


@pytest.fixture
def root(tmp_path: Path, add_release: AddRelease) -> Storage:
    """Three releases, the last current."""
    storage = open_storage(tmp_path / "root")
    for release_id in (FIRST, SECOND, THIRD):
        add_release(storage, release_id)
    return storage


def releases(*arguments: str, root: Storage) -> int | str | None:
    """Run a command; its exit status."""
    try:
        main(["releases", *arguments, "--root", root.url])
    except SystemExit as end:
        return end.code
    return 0


def test_people_see_the_list_the_differences_and_the_way_back(
    root: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert releases("list", root=root) == 0
    listed = capsys.readouterr().out
    assert listed.index(THIRD) < listed.index(SECOND) < listed.index(FIRST)
    newest, second, _ = (line for line in listed.splitlines() if "abc" in line)
    assert ("current" in newest, "previous" in second) == (True, True)
    assert "50.0%" in newest
    assert releases("diff", root=root) == 0
    told = capsys.readouterr().out
    assert f"{SECOND} → {THIRD}" in told
    assert "Network: the same" in told
    assert releases("rollback", "--dry-run", root=root) == 0
    told = capsys.readouterr().err
    assert f"{SECOND} would become current in place of" in told
    assert f"A rollback from there leads to {FIRST}" in told


def test_a_root_without_releases_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert releases("list", root=open_storage(tmp_path / "mistyped")) == 0
    assert f"{tmp_path}/mistyped holds no releases" in capsys.readouterr().err


def test_verify_tells_all_and_ends_with_1_where_something_is_wrong(
    root: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    root.write(f"releases/{SECOND}/{EMBEDDER_ONNX}", b"")
    root.delete(f"releases/{SECOND}/golden.npz")
    assert releases("verify", root=root) == 0
    files = len(read_manifest(root, THIRD).files)
    assert f"✓ {THIRD}: {files} files" in capsys.readouterr().err
    assert releases("verify", SECOND, "--json", root=root) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert len(found["problems"]) == 2
    assert releases("verify", "--all", root=root) == 1
    told = capsys.readouterr().err
    assert f"✗ {SECOND}" in told
    assert "golden.npz: expected a file, found none" in told
    assert f"✓ {FIRST}" in told
    assert releases("verify", SECOND, "--all", root=root) == 1
    assert "Expected a release or --all" in capsys.readouterr().err


def test_prune_asks_shows_and_obeys(
    root: Storage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prune = ("prune", "--keep", "1", "--grace-hours", "0")
    assert releases(*prune, "--dry-run", root=root) == 0
    shown = capsys.readouterr()
    assert FIRST in shown.out
    assert "would be free" in shown.err
    assert releases(*prune, root=root) == 1
    assert "Expected --yes where nobody can be asked" in capsys.readouterr().err
    for reply, left in (("\n", 3), ("n\n", 3), ("y\n", 2)):
        terminal = StringIO(reply)
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", terminal)
        assert releases(*prune, root=root) == 0
        assert len(list_releases(root)) == left
    capsys.readouterr()
    assert releases(*prune, "--yes", "--json", root=root) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["releases"], told["size"], told["removed"]) == ([], 0, False)
