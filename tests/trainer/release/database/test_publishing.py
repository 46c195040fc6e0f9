"""A release whose rows go into a database: published, verified, looked after."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from function.manifest import CATALOG, INDEX
from function.release import read_manifest, read_pointer, release_prefix
from function.storage import open_storage
from tests.releases import TinyRelease
from tests.tables import publish_tiny, schemas_in
from trainer.cli import main
from trainer.cli.publish import tell_published
from trainer.data.changes import open_changes
from trainer.errors import DatabaseError, PublishError, RegistryError
from trainer.release.database.connection import database_at
from trainer.release.database.release import check_database
from trainer.release.database.rows import DatabaseRows
from trainer.release.registry.pruning import plan_pruning, prune
from trainer.release.registry.verification import verify_release
from trainer.release.update import update


def test_a_published_release_has_its_rows_in_the_database_and_the_rest_on_storage(
    tiny_release: TinyRelease,
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    release_id = publish_tiny(tiny_release, tmp_path, database_url)
    storage = open_storage(tmp_path)
    pointer = read_pointer(storage)
    assert pointer is not None
    assert pointer.release_id == release_id
    manifest = read_manifest(storage, release_id)
    original = tiny_release.manifest
    assert manifest.is_in_database
    assert manifest.index.recall_at_10 == 1.0
    assert manifest.counts == original.counts
    assert manifest.model == original.model
    names = storage.list(release_prefix(release_id))
    assert not [name for name in names if f"/{INDEX}/" in name or name.endswith(CATALOG)]
    assert schemas_in(database_url) == {release_id}
    verified = verify_release(storage, database=database_at(database_url))
    assert verified.problems == ()
    tell_published(str(tmp_path), release_id, as_json=False)
    assert "in PostgreSQL, 40 candidates kept" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_verification_counts_the_rows(
    tiny_release: TinyRelease,
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release_id = publish_tiny(tiny_release, tmp_path, database_url)
    with pytest.raises(RegistryError, match="expected its address, found none"):
        verify_release(open_storage(tmp_path))
    monkeypatch.setenv("LOOKALIKE_DATABASE", database_url)
    main(["releases", "verify", "--root", str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out)[0]["problems"] == []
    main(["releases", "promote", release_id, "--root", str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out)["after"] == release_id
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", [f'"{release_id}"'])
        connection.execute("DELETE FROM image WHERE number = 3")
        connection.execute("DROP INDEX image_embedding")
    with pytest.raises(SystemExit):
        main(["releases", "verify", "--root", str(tmp_path), "--json"])
    told = "\n".join(json.loads(capsys.readouterr().out)[0]["problems"])
    assert "products, photos: expected (6, 12), as the manifest says; found (6, 11)" in told
    assert "expected a valid index image_embedding; found none" in told


@pytest.mark.slow
def test_pruning_takes_the_rows_with_the_release(
    tiny_release: TinyRelease, database_url: str, tmp_path: Path
) -> None:
    published = [publish_tiny(tiny_release, tmp_path, database_url) for _ in range(3)]
    storage, database = open_storage(tmp_path), database_at(database_url)
    later = datetime.now(UTC) + timedelta(days=3)
    with pytest.raises(RegistryError, match="LOOKALIKE_DATABASE"):
        plan_pruning(storage, keep=1, now=later)
    plan = plan_pruning(storage, keep=1, now=later, images=True, database=database)
    assert plan.in_database == (published[0],)
    assert plan.in_database_size > 0
    assert not plan.images
    prune(storage, plan, database)
    assert schemas_in(database_url) == {*published[1:]}
    assert verify_release(storage, database=database).problems == ()


@pytest.mark.slow
def test_rows_that_were_shown_before_a_publisher_died_go_with_what_it_left_on_storage(
    tiny_release: TinyRelease,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = publish_tiny(tiny_release, tmp_path, database_url)

    def dies(self: DatabaseRows, release: object) -> None:
        show(self, release)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    show = DatabaseRows.show
    with monkeypatch.context() as patched:
        patched.setattr(DatabaseRows, "show", dies)
        with pytest.raises(KeyboardInterrupt):
            publish_tiny(tiny_release, tmp_path, database_url)
    storage, database = open_storage(tmp_path), database_at(database_url)
    pointer = read_pointer(storage)
    assert pointer is not None
    assert pointer.release_id == whole
    (left,) = schemas_in(database_url) - {whole}
    later = datetime.now(UTC) + timedelta(days=3)
    plan = plan_pruning(storage, now=later, database=database)
    assert plan.in_database == (left,)
    prune(storage, plan, database)
    assert schemas_in(database_url) == {whole}


@pytest.mark.slow
def test_an_update_of_a_release_in_a_database_is_refused(
    tiny_release: TinyRelease, database_url: str, tmp_path: Path
) -> None:
    publish_tiny(tiny_release, tmp_path / "root", database_url)
    (tmp_path / "changes.csv").write_text("product_id,change\np0,remove\n")
    with pytest.raises(PublishError, match="lies in a database"):
        update(open_changes(str(tmp_path / "changes.csv")), str(tmp_path / "root"))


def test_a_database_that_is_away_is_told_before_anything_is_embedded() -> None:
    with pytest.raises(DatabaseError, match=r"127\.0\.0\.1:1/shop: expected a PostgreSQL"):
        check_database(database_at("postgresql://u:secret@127.0.0.1:1/shop"))
