"""A release's tables in PostgreSQL, compared with its manifest and opened."""

from ..errors import ReleaseError
from ..manifest import Counts, Manifest
from .catalog import PostgresCatalog
from .connection import Database
from .index import PostgresIndex
from .schema import SCHEMA_VERSION, access_method
from .tables import Tables


def open_postgres(database: Database, manifest: Manifest) -> tuple[PostgresIndex, PostgresCatalog]:
    """Open the index and the catalogue of a release.

    Raises:
        ReleaseError: there are no such tables, or they are not those that the manifest tells of.
        DatabaseUnavailable: no server answers.
    """
    release_id = manifest.release_id
    tables = Tables(database, release_id)
    lines = tables.ask(
        "SELECT schema_version, access_method, dim, products, images, index_id "
        "FROM {release}.release"
    )
    if len(lines) != 1:
        raise ReleaseError(
            f"Release {release_id}: expected one line in its table `release`; found {len(lines)}. "
            "It was not loaded to its end: publish again."
        )
    version, method, dim, products, images, index_id = lines[0]
    if version != SCHEMA_VERSION:
        raise ReleaseError(
            f"Release {release_id}: release.schema_version: expected {SCHEMA_VERSION}, found "
            f"{version}. Deploy the function and publish the release from the same version of the "
            "project.",
            fault="SCHEMA_UNSUPPORTED",
        )
    for name, found, expected in (
        ("dim", dim, manifest.model.embedding_dim),
        ("products", products, manifest.counts.products),
        ("images", images, manifest.counts.images),
        ("index_id", index_id, manifest.index.index_id),
    ):
        if found != expected:
            raise ReleaseError(
                f"Release {release_id}: release.{name} in the database: expected {expected!r}, as "
                f"the manifest says; found {found!r}. Publish again."
            )
    counts = Counts(products, images)
    index = PostgresIndex(tables, access_method(method), dim, counts, manifest.index.chosen)
    return index, PostgresCatalog(tables, counts)
