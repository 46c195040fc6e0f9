"""Tables that are not those of the manifest, or cannot be read, are refused with a reason."""

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal

from function.errors import DeadlineExceeded, ReleaseError
from function.manifest import Manifest
from function.postgres.connection import Database
from function.postgres.opening import open_postgres
from function.postgres.schema import namespace
from tests.releases import TinyRelease
from tests.tables import move_into_tables


@pytest.fixture(scope="module")
def manifest(
    tiny_release: TinyRelease, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Manifest:
    """Of a release whose rows lie in the database."""
    root: Path = tmp_path_factory.mktemp("tables") / "root"
    return move_into_tables(module_database_url, tiny_release.root, tiny_release.release_id, root)


@pytest.fixture
def database(module_database_url: str) -> Iterator[Database]:
    database = Database(module_database_url, 2)
    yield database
    database.close()


def test_what_fits_is_opened(database: Database, manifest: Manifest) -> None:
    index, catalog = open_postgres(database, manifest)
    assert index.count() == catalog.counts == manifest.counts


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("schema_version", 99, "schema_version: expected 1, found 99"),
        ("dim", 512, "release.dim in the database: expected 16, as the manifest says; found 512"),
        ("images", 11, "release.images in the database: expected 12.* found 11"),
        ("index_id", "other", "release.index_id .* found 'other'"),
        ("access_method", "ivfflat", "access_method: expected one of scann, hnsw; found 'ivfflat'"),
    ],
)
def test_another_line_is_refused(
    database: Database,
    module_database_url: str,
    manifest: Manifest,
    column: str,
    value: object,
    message: str,
) -> None:
    table = Identifier(manifest.release_id, "release")
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        read = SQL("SELECT {} FROM {}").format(Identifier(column), table)
        ((before,),) = connection.execute(read).fetchall()
        change = SQL("UPDATE {} SET {} = {}")
        connection.execute(change.format(table, Identifier(column), Literal(value)))
        try:
            with pytest.raises(ReleaseError, match=message):
                open_postgres(database, manifest)
        finally:
            connection.execute(change.format(table, Identifier(column), Literal(before)))


def test_tables_that_are_missing_unfinished_or_closed_are_refused(
    database: Database, module_database_url: str, manifest: Manifest
) -> None:
    with pytest.raises(ReleaseError, match="tables are not in the database") as missing:
        open_postgres(database, replace(manifest, release_id="never-loaded"))
    assert missing.value.fault == "RELEASE_MISSING"
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA unfinished")
        connection.execute(
            SQL("CREATE TABLE unfinished.release (LIKE {})").format(
                Identifier(manifest.release_id, "release")
            )
        )
        connection.execute("CREATE ROLE stranger LOGIN")
        try:
            with pytest.raises(ReleaseError, match="expected one line in its table `release`"):
                open_postgres(database, replace(manifest, release_id="unfinished"))
            stranger = Database(module_database_url.replace("postgres@", "stranger@"), 1)
            with pytest.raises(ReleaseError, match="expected a role with USAGE"):
                open_postgres(stranger, manifest)
            stranger.close()
        finally:
            connection.execute("DROP ROLE stranger")


@pytest.mark.parametrize("name", ["", "a/b", 'a"; DROP TABLE x; --', "a" * 64, "../up"])
def test_no_other_name_becomes_that_of_a_schema(name: str) -> None:
    with pytest.raises(ReleaseError, match="cannot name a release in PostgreSQL"):
        namespace(name)


@pytest.mark.parametrize("missing", ["psycopg", "psycopg_pool"])
def test_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ReleaseError, match=f"requirements-pg.txt .* found no {missing}"):
        Database("postgresql://somewhere", 1).ask("SELECT 1")


def test_an_address_that_is_none_is_refused_without_telling_it() -> None:
    with pytest.raises(ReleaseError, match="The database's address: expected") as refused:
        Database("postgresql://user:geheim@[", 1).ask("SELECT 1")
    assert "geheim" not in refused.value.message


def test_what_takes_longer_than_the_deadline_is_ended_by_the_server(database: Database) -> None:
    import time

    with pytest.raises(DeadlineExceeded):
        database.until(time.monotonic() + 0.3).ask("SELECT pg_sleep(30)")
    assert database.ask("SELECT 1") == [(1,)]


def test_no_thread_is_left_when_it_is_closed(module_database_url: str) -> None:
    before = threading.active_count()
    database = Database(module_database_url, 2)
    assert database.ask("SELECT %s::text", ["one"]) == [("one",)]
    assert threading.active_count() > before
    database.close()
    assert threading.active_count() == before
