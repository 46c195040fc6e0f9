"""A loader that is killed at any moment leaves the old release serving, and the next one room."""

import json
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from function.release import list_releases
from function.storage import open_storage
from tests.releases import TinyRelease
from tests.trainer.release.database.killed_loader import MOMENTS
from trainer.release.database.connection import database_at
from trainer.release.registry.pruning import plan_pruning, prune
from trainer.release.registry.verification import verify_release


@pytest.mark.slow
def test_killed_at_any_moment_the_old_release_serves_on_and_a_rerun_completes(
    tiny_release: TinyRelease, database_url: str, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    shutil.copytree(tiny_release.root, root)
    command = [sys.executable, "-m", "tests.trainer.release.database.killed_loader"]
    done = subprocess.run(
        [*command, database_url, str(root)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *killed, last = map(json.loads, done.stdout.splitlines())
    assert [each["moment"] for each in killed] == [*MOMENTS]
    assert [each["status"] for each in killed] == [-signal.SIGKILL] * len(MOMENTS)
    assert {each["current"] for each in killed} == {tiny_release.release_id}
    in_sight: set[str] = set()
    for each in killed:
        loading = [name for name in each["schemas"] if name.startswith("loading-")]
        shown = {*each["schemas"]} - {*loading}
        # What the one before left half done is gone; only the last two had rows in sight.
        assert len(loading) == (each["moment"] not in ("rows in sight", "all but the pointer"))
        assert in_sight <= shown
        in_sight = shown
    assert len(in_sight) == 2
    assert last["status"] == 0, done.stderr
    assert {last["current"]} == {*last["schemas"]} - in_sight
    # One that lacks its manifest, and one that lacks but the pointer.
    storage, database = open_storage(root), database_at(database_url)
    assert len(list_releases(storage)) == 3
    assert verify_release(storage, database=database).problems == ()
    plan = plan_pruning(
        storage, keep=1, now=datetime.now(UTC) + timedelta(days=3), database=database
    )
    assert {*plan.in_database} == in_sight
    prune(storage, plan, database)
    assert verify_release(storage, database=database).problems == ()
