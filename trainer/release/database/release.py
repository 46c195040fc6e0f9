"""A release into a database, from its first row until it is in place."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from function.manifest import Counts, IndexSetting
from function.postgres.catalog import PostgresCatalog
from function.postgres.connection import Database as Reading
from function.postgres.index import PostgresIndex
from function.postgres.schema import ACCESS_METHODS, AVAILABLE_EXTENSIONS, AccessMethod, tables
from function.postgres.tables import Tables
from function.postgres.writing import Writer
from trainer.errors import DatabaseError, PublishError
from trainer.progress import console, progress_bar
from trainer.release.contents import Contents
from trainer.release.copies import same_pictures
from trainer.release.database import namespaces
from trainer.release.database.connection import OUTAGE_SECONDS, Database, Lost
from trainer.release.database.indexing import build_indexes, default_options, make_keys

type Numbers = Int64[np.ndarray, " rows"]
type Vectors = Float32[np.ndarray, "rows dim"]

# Told of the rows' numbers and vectors, as they are loaded.
type Witness = Callable[[Numbers, Vectors], None]

# The first with all that is asked of it, as the server tells its version.
_OLDEST_SERVER = 14_00_00

# The first whose searches go on where a filter left out what was near.
_OLDEST_PGVECTOR = (0, 8)

# Where the primary is lost all is loaded anew, so often: nothing is embedded again for it.
_ATTEMPTS = 3


@dataclass(frozen=True)
class LoadedRelease:
    """A release that is loaded and indexed, under a name that no function looks for.

    Where its context is left before it was put in place, it is removed by whoever loads next.

    Attributes:
        database: where it is.
        connection: what loaded it, and keeps others from taking it for abandoned.
        name: of its namespace until it is in place.
        method: of its vectors' index.
        dim: length of its vectors.
        counts: of products and photos.
        reading: the same database, as a function asks it.
    """

    database: Database
    connection: Connection[Any]
    name: str
    method: AccessMethod
    dim: int
    counts: Counts
    reading: Reading
    _held: ExitStack

    def __enter__(self) -> "LoadedRelease":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._held.__exit__(kind, error, trace)

    @property
    def index_id(self) -> str:
        """What answers carry as indexVersion."""
        return namespaces.index_id(self.name)

    @property
    def megabytes(self) -> float:
        """Of its tables and indexes."""
        return namespaces.size_of(self.connection, [self.name]) / 1e6

    def index(self, setting: IndexSetting) -> PostgresIndex:
        """Return its index, as a function searches it with that setting."""
        tables = Tables(self.reading, self.name)
        return PostgresIndex(tables, self.method, self.dim, self.counts, setting)

    def catalog(self) -> PostgresCatalog:
        """Return its catalogue, as a function reads it."""
        return PostgresCatalog(Tables(self.reading, self.name), self.counts)

    def put_in_place(self, release_id: str) -> None:
        """Let functions find it as that release; a primary that is lost meanwhile is waited for.

        Raises:
            DatabaseError: no primary, or one that lacks what was loaded.
        """
        try:
            with self.database.telling(self.connection):
                namespaces.put_in_place(self.connection, self.name, release_id)
        except Lost:
            with self.database.connected(wait_seconds=OUTAGE_SECONDS) as other:
                # It may have been done, and its answer lost.
                if namespaces.is_complete(other, release_id):
                    return
                if not namespaces.is_complete(other, self.name):
                    raise DatabaseError(
                        f"{self.database.shown}: expected all that was loaded; the host that takes "
                        "writes now lacks some of it. Publish again."
                    ) from None
                namespaces.put_in_place(other, self.name, release_id)


def check_database(database: Database) -> None:
    """Refuse, before anything is embedded, a database that could not take a release.

    Raises:
        DatabaseError: it cannot be reached, is too old, lacks pgvector, or refuses the role.
    """
    with database.connected() as connection:
        _method(connection)
        with connection.transaction(force_rollback=True):
            namespaces.make_loading(connection)


def load_release(
    database: Database,
    chunks: Iterable[Contents],
    *,
    dim: int,
    rows: int,
    witness: Witness = lambda numbers, vectors: None,
    options: str = "",
) -> LoadedRelease:
    """Load and index a release; what earlier loaders left unfinished is removed.

    Args:
        database: takes it.
        chunks: of what is to be found; gone through again where the primary is lost. Copies are
            found within each.
        dim: length of the vectors.
        rows: how many photos there are, for the progress that is shown.
        witness: told of every row; of all again where the primary is lost.
        options: of the vectors' index, as for `function.postgres.schema.indexes`; "": those of
            `default_options`.

    Raises:
        DatabaseError: as `check_database`, or the database is full or refuses a row.
        PublishError: no photo.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _loaded(database, chunks, dim, rows, witness, options)
        except Lost as lost:
            if attempt == _ATTEMPTS:
                raise
            console.print(f"{lost} All is loaded again.", soft_wrap=True, highlight=False)
    raise AssertionError


def _loaded(
    database: Database,
    chunks: Iterable[Contents],
    dim: int,
    rows: int,
    witness: Witness,
    options: str,
) -> LoadedRelease:
    with ExitStack() as stack:
        connection = stack.enter_context(database.connected(wait_seconds=OUTAGE_SECONDS))
        method = _method(connection)
        namespaces.drop_abandoned(connection)
        name = namespaces.make_loading(connection)
        for statement in tables(name, method, dim):
            connection.execute(statement.encode())
        make_keys(connection, name, method)
        writer = Writer(connection, name, method)
        with progress_bar("Loading rows", rows) as bar:
            for contents in chunks:
                for numbers, vectors in _add(writer, contents):
                    witness(numbers, vectors)
                    bar.advance(len(numbers))
        counts = writer.finish()
        if not counts.images:
            raise PublishError("Expected photos to load; found none.")
        options = options or default_options(method, counts.images)
        build_indexes(connection, database, name, method, options=options)
        namespaces.complete(connection, name, method, dim, counts)
        reading = database.reading()
        stack.callback(reading.close)
        return LoadedRelease(
            database, connection, name, method, dim, counts, reading, stack.pop_all()
        )


def _add(writer: Writer, contents: Contents) -> Iterator[tuple[Numbers, Vectors]]:
    copies = None if contents.signatures is None else same_pictures(contents.signatures)
    return writer.add(contents.products, contents.images, contents.vectors, copies)


def _method(connection: Connection[Any]) -> AccessMethod:
    """The best index for vectors that the server has; its extension is created."""
    version = connection.info.server_version
    if version < _OLDEST_SERVER:
        raise DatabaseError(
            f"Expected PostgreSQL {_OLDEST_SERVER // 10_000} or newer; found {version // 10_000}."
        )
    wanted = [method.extension for method in ACCESS_METHODS]
    there = {name for (name,) in connection.execute(AVAILABLE_EXTENSIONS, [wanted])}
    for method in ACCESS_METHODS:
        if method.extension in there:
            connection.execute(
                SQL("CREATE EXTENSION IF NOT EXISTS {} CASCADE").format(
                    Identifier(method.extension)
                )
            )
            _check_pgvector(connection)
            return method
    raise DatabaseError(
        f"Expected a PostgreSQL with one of the extensions {', '.join(wanted)}; it offers none. "
        "pgvector is the first of its package's names: postgresql-16-pgvector and the like."
    )


def _check_pgvector(connection: Connection[Any]) -> None:
    ((found,),) = connection.execute(
        "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    ).fetchall()
    if tuple(map(int, found.split(".")[:2])) < _OLDEST_PGVECTOR:
        expected = ".".join(map(str, _OLDEST_PGVECTOR))
        raise DatabaseError(
            f"Expected pgvector {expected} or newer in the database; found {found}. Where the "
            "server has a newer one: ALTER EXTENSION vector UPDATE"
        )
