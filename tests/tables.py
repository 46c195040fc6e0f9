"""Releases in a test's PostgreSQL: empty tables, those of a release of files, or published ones."""

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
from psycopg.sql import SQL, Identifier

from function.file_catalog import open_catalog
from function.index import open_index
from function.manifest import CATALOG, INDEX, MANIFEST, Counts, Manifest
from function.manifest_file import parse_manifest
from function.postgres.schema import HNSW, SCHEMA_VERSION, indexes, namespace, tables
from function.postgres.writing import Writer
from function.release import release_prefix
from tests.releases import IMAGE_SIZE, TinyRelease


def schemas_in(url: str) -> set[str]:
    """The schemas of a database, but for the server's own."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)'"
        ).fetchall()
    return {name for (name,) in found}


def publish_tiny(tiny: TinyRelease, root: Path, url: str) -> str:
    """Publish the tiny release's catalogue, with its rows in a database; the new release's id."""
    # JAX takes seconds to import, and most tests of tables do without.
    from trainer.release.database.connection import database_at
    from trainer.release.database.rows import DatabaseRows
    from trainer.release.publish import publish

    with DatabaseRows(database_at(url)) as rows:
        return publish(tiny.model, IMAGE_SIZE, tiny.catalog, str(root), evaluation={}, rows=rows)


def make_tables(url: str, release_id: str, dim: int) -> None:
    """Make a release's tables and indexes, without rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {namespace(release_id)}")
        for statement in (*tables(release_id, HNSW, dim), *indexes(release_id, HNSW).values()):
            connection.execute(statement)


def finish_tables(url: str, manifest: Manifest, counts: Counts) -> None:
    """Say that a release is loaded, as a publisher does at last."""
    with psycopg.connect(url, autocommit=True) as connection:
        insert = SQL("INSERT INTO {}.release VALUES (%s, %s, %s, %s, %s, %s)")
        connection.execute(
            insert.format(Identifier(manifest.release_id)),
            [
                SCHEMA_VERSION,
                HNSW.name,
                manifest.model.embedding_dim,
                counts.products,
                counts.images,
                manifest.index.index_id,
            ],
        )


def move_into_tables(url: str, source: Path, release_id: str, root: Path) -> Manifest:
    """Make a root whose current release has the rows of another one's files in a database.

    Args:
        url: of the database.
        source: root of the other one.
        release_id: of both.
        root: where the new one is to be.

    Returns:
        The manifest of the new one.
    """
    shutil.copytree(source, root)
    folder = root / release_prefix(release_id)
    found = parse_manifest((folder / MANIFEST).read_bytes())
    chosen = replace(found.index.chosen, kind="pgvector", row_type="float16", ef_search=100)
    files = {
        name: info
        for name, info in found.files.items()
        if name != CATALOG and not name.startswith(f"{INDEX}/")
    }
    manifest = replace(found, index=replace(found.index, chosen=chosen), files=files)
    make_tables(url, release_id, found.model.embedding_dim)
    vectors = open_index(folder / INDEX, "exact")
    rows = np.arange(vectors.rows)
    with closing(open_catalog(folder / CATALOG)) as catalog:
        images = catalog.images(rows.tolist())
        names = dict.fromkeys(image.product_id for image in images)
        with psycopg.connect(url, autocommit=True) as connection:
            writer = Writer(connection, release_id, HNSW)
            products = [catalog.product(name) for name in names]
            for _ in writer.add(products, images, vectors.vectors(rows), catalog.picture_of_row):
                pass
            finish_tables(url, manifest, writer.finish())
    (folder / CATALOG).unlink()
    shutil.rmtree(folder / INDEX)
    (folder / MANIFEST).write_bytes(manifest.to_json())
    return manifest
