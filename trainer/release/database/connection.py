"""The database that takes releases: reached through whichever of its hosts takes writes.

psycopg is an extra: it is imported where a database is asked for, never before. An address may hold
a password, so nothing but `Database.shown` is ever told of it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from function.postgres.connection import Database as Reading
from trainer.errors import DatabaseError
from trainer.progress import console

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMES = ("postgresql://", "postgres://")

# How long a primary may be away, until a replica is promoted in its place: what was embedded by
# then took longer to make.
OUTAGE_SECONDS = 600.0
_RETRY_SECONDS = 1.0

# A host that does not answer in that time is passed over; a line that is cut without a word is
# noticed within a minute.
_OPTIONS: dict[str, Any] = {
    "target_session_attrs": "read-write",
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "application_name": "lookalike",
}

# A load takes as long as it takes. The last lets the server notice in the middle of a statement
# that the loader was killed; else it would go on building an index for nobody.
_SESSION = """
SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET idle_session_timeout = 0;
SET client_connection_check_interval = '1s';
"""


class Lost(DatabaseError):
    """The connection ended in the middle of something; another primary may go on."""


@dataclass(frozen=True)
class Database:
    """Where releases are loaded to.

    Attributes:
        address: as libpq takes it, postgresql://…, of one host or several; may hold a password.
        shown: the same for people, without it.
    """

    address: str = field(repr=False)
    shown: str

    @contextmanager
    def connected(self, *, wait_seconds: float = 0.0) -> Iterator["Connection[Any]"]:
        """Give a connection in autocommit to the host that takes writes.

        Args:
            wait_seconds: how long to try again where none does.

        Raises:
            DatabaseError: no host takes writes, or the server refuses what is asked of it.
            Lost: the connection ended.
        """
        connection = self._connect(wait_seconds)
        try:
            with self.telling(connection):
                connection.execute(_SESSION)
                yield connection
        finally:
            connection.close()

    def reading(self) -> Reading:
        """Return the same database as a function asks it, but at the host that takes writes.

        What was loaded a moment ago, a replica may lack still. It is to be closed.
        """
        from psycopg.conninfo import make_conninfo

        address = make_conninfo(self.address, target_session_attrs="read-write")
        return Reading(address, connections=1)

    @contextmanager
    def telling(self, connection: "Connection[Any]") -> Iterator[None]:
        """Raise what goes wrong with a connection as DatabaseError, or Lost where it ended."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            # What a server shuts down for leaves the connection closed, what it refuses does not.
            kind = Lost if connection.closed else DatabaseError
            raise kind(f"{self.shown}: {_told(error)}") from error

    def _connect(self, wait_seconds: float) -> "Connection[Any]":
        import psycopg

        end = time.monotonic() + wait_seconds
        told = False
        while True:
            try:
                return psycopg.connect(self.address, autocommit=True, **_OPTIONS)
            except psycopg.OperationalError as error:
                if time.monotonic() >= end:
                    raise DatabaseError(
                        f"{self.shown}: expected a PostgreSQL that takes writes; {_told(error)}"
                    ) from error
            if not told:
                console.print(
                    f"{self.shown}: no host takes writes; trying again for "
                    f"{wait_seconds / 60:.0f} minutes…",
                    soft_wrap=True,
                    highlight=False,
                )
                told = True
            time.sleep(_RETRY_SECONDS)


def database_at(address: str) -> Database:
    """Read an address; nothing is connected yet.

    Raises:
        DatabaseError: psycopg is not installed, or the text is no address of PostgreSQL.
    """
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise DatabaseError(
            f"Releases in PostgreSQL: expected the package psycopg, found none ({error}). "
            'Install it with: make setup EXTRAS="pg"'
        ) from error
    expected = "expected postgresql://user@host:port/database, or several hosts with commas between"
    if not address.startswith(SCHEMES):
        raise DatabaseError(f"The database's address: {expected}; found another beginning.")
    try:
        parts = conninfo_to_dict(address)
    except ProgrammingError:
        # Neither shown nor chained: libpq repeats what it cannot read, and that may be a password.
        raise DatabaseError(f"The database's address: {expected}; found another form.") from None
    return Database(address, _shown(parts))


def _shown(parts: dict[str, Any]) -> str:
    hosts = str(parts.get("host") or "").split(",")
    ports = str(parts.get("port") or "").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    places = [f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=False)]
    return f"postgresql://{','.join(places)}/{parts.get('dbname') or ''}"


def _told(error: Exception) -> str:
    """What the server said, on one line; libpq's and the server's messages hold no password."""
    diagnosis = getattr(error, "diag", None)
    said = getattr(diagnosis, "message_primary", None) or str(error) or type(error).__name__
    return " ".join(said.split())
