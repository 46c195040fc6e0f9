"""What a release has in its database, and whether it is what its manifest says."""

from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from function.manifest import Manifest
from function.postgres.schema import SCHEMA_VERSION
from trainer.release.database import namespaces

_INDEXES = """
SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND i.indisvalid AND i.indisready
"""
_VECTORS = "image_embedding"


def stored_names(connection: Connection[Any], name: str) -> set[str]:
    """Return the names, below the root's images/, of what the photos in a namespace need there."""
    found = connection.execute(
        SQL(
            "SELECT sha256 FROM {0}.image WHERE sha256 <> '' UNION "
            "SELECT thumbnail_sha256 FROM {0}.image WHERE thumbnail_sha256 <> ''"
        ).format(Identifier(name))
    )
    return {f"{sha256}.jpg" for (sha256,) in found}


def problems(connection: Connection[Any], manifest: Manifest) -> list[str]:
    """Count a release's rows, and compare them with its manifest.

    Returns:
        What is wrong, each with what was expected and found; none where all is well.
    """
    release_id = manifest.release_id
    if not namespaces.is_complete(connection, release_id):
        return [f"database: expected the schema {release_id} with all that was loaded; found none"]
    schema = Identifier(release_id)
    (said,) = connection.execute(
        SQL("SELECT schema_version, dim, products, images, index_id FROM {}.release").format(schema)
    ).fetchall()
    counted = connection.execute(
        SQL("SELECT (SELECT count(*) FROM {0}.product), (SELECT count(*) FROM {0}.image)").format(
            schema
        )
    ).fetchone()
    counts = manifest.counts.products, manifest.counts.images
    expected = (SCHEMA_VERSION, manifest.model.embedding_dim, *counts, manifest.index.index_id)
    found = []
    if said != expected:
        found.append(
            f"database: schema version, dim, products, photos, index: expected {expected}, as the "
            f"manifest says; found {said}"
        )
    if counted != counts:
        found.append(
            f"database: products, photos: expected {counts}, as the manifest says; found {counted}"
        )
    valid = {name for (name,) in connection.execute(_INDEXES, [release_id])}
    if _VECTORS not in valid:
        found.append(f"database: expected a valid index {_VECTORS}; found none")
    return found
