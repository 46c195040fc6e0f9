"""Connections to the database: few, kept, tried again when they die, and never waited for long.

A worker opens them after the fork, and they outlast the release that is served: every query names
its release's tables in full. All that a function asks only reads, so whatever fails by a connection
that died is asked again over another one, which a setting with several hosts leads to a replica
that lives. What an operator sees is the class of an error, what a caller sees is less: the address,
and whatever the server says, may hold secrets.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import DeadlineExceeded, ReleaseError, Unavailable
from ..telemetry import log

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg_pool import ConnectionPool

# Of one question, over as many connections.
_TRIES = 3
# For a connection, to one host of several.
_CONNECT_SECONDS = 2
# A caller waits so long for a connection while there is none, and is told to come again.
_POOL_SECONDS = 2.5
# And for so long no further caller waits for one.
_AWAY_SECONDS, _MOMENT_SECONDS = 1.0, 0.02
# From then on a pool has given up, and the next caller makes it try again at once.
_RECONNECT_SECONDS = 1.0
# So that a replica that came back, or was added, gets its share of them.
_LIFETIME_SECONDS = 600.0
# Of questions that nobody set a deadline for, as those of a release that loads.
_LONGEST_SECONDS = 60.0
# The server ends what takes too long; where it does not, we leave it so much later.
_GRACE_SECONDS = 0.25

_REQUIREMENTS = "function/requirements-pg.txt (in the project: make setup EXTRAS=pg)"

type Row = tuple[Any, ...]


@dataclass(frozen=True)
class Question:
    """A statement, with %s or %(name)s for its values."""

    text: str
    values: Sequence[object] | Mapping[str, object] = ()


class DatabaseUnavailable(Unavailable):
    """The database is away, or cannot answer now."""

    default_reason = "DATABASE_UNAVAILABLE"


class Database:
    """Asks one database. Safe to use from several threads, which share its connections.

    Args:
        address: a connection string of libpq's, as postgresql://user:password@host/name.
        connections: how many, at most.
    """

    def __init__(self, address: str, connections: int) -> None:
        self._pooled = _Pooled(address, connections)
        self._deadline = math.inf

    def until(self, deadline: float) -> "Database":
        """Return the same database, which gives up at a time of `time.monotonic`."""
        other = object.__new__(Database)
        other._pooled, other._deadline = self._pooled, deadline
        return other

    def ask(self, text: str, values: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
        """Return the rows that answer one question; raises as `ask_all`."""
        return self.ask_all([Question(text, values)])[0]

    def ask_all(
        self, questions: Sequence[Question], settings: Mapping[str, str] | None = None
    ) -> list[list[Row]]:
        """Return the rows that answer each question, of one snapshot, in one round trip.

        Args:
            questions: they only read.
            settings: of the server, for these questions alone.

        Raises:
            DatabaseUnavailable: no server answers, or none can.
            DeadlineExceeded: it took too long.
            ReleaseError: there are no such tables, psycopg is missing, or the address is none.
        """
        if not questions:
            return []
        deadline = min(self._deadline, time.monotonic() + _LONGEST_SECONDS)
        return self._tried(lambda connection: _asked(connection, questions, settings, deadline))

    @contextmanager
    def connection(self) -> "Iterator[Connection[Any]]":
        """Hold a connection, in autocommit, for what writes; raises as `ask_all`, or psycopg's."""
        with self._pooled.pool().connection(timeout=_POOL_SECONDS) as connection:
            yield connection

    def close(self) -> None:
        """End the connections."""
        self._pooled.close()

    def _tried[T](self, work: "Callable[[Any], T]") -> T:
        pool = self._pooled.pool()
        import psycopg
        from psycopg_pool import PoolClosed, PoolTimeout

        connection: Any = None
        for left in reversed(range(_TRIES)):
            seconds = min(self._pooled.patience(), self._deadline - time.monotonic())
            if seconds <= 0:
                raise _too_late()
            try:
                with pool.connection(timeout=seconds) as connection:
                    return work(connection)
            except (PoolTimeout, PoolClosed):
                if time.monotonic() >= self._deadline:
                    raise _too_late() from None
                self._pooled.miss()
                raise _away() from None
            except psycopg.errors.QueryCanceled:
                raise _too_late() from None
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                raise ReleaseError(
                    "The release's tables are not in the database: expected those that "
                    "`lookalike publish --index` loads. Publish again, or point at another "
                    "release.",
                    fault="RELEASE_MISSING",
                ) from None
            except psycopg.errors.InsufficientPrivilege:
                raise ReleaseError(
                    "The release's tables may not be read: expected a role with USAGE on its "
                    "schema and SELECT on its tables. Grant them, or publish as another role."
                ) from None
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                _tell(error)
                if not left:
                    raise _away() from None
                if connection.broken:
                    # What shares its fate is not to be handed out first.
                    pool.drain()
        raise _away()


class _Pooled:
    """The connections, made when the first is asked for, and whether there are any to be had."""

    def __init__(self, address: str, connections: int) -> None:
        self._address = address
        self._connections = connections
        self._lock = threading.Lock()
        self._pool: ConnectionPool[Any] | None = None
        self._away_until = -math.inf

    def pool(self) -> "ConnectionPool[Any]":
        with self._lock:
            if self._pool is None:
                self._pool = _open(self._address, self._connections)
            return self._pool

    def patience(self) -> float:
        """How long to wait for a connection, in seconds."""
        return _MOMENT_SECONDS if time.monotonic() < self._away_until else _POOL_SECONDS

    def miss(self) -> None:
        """Take note that none was to be had."""
        if time.monotonic() >= self._away_until:
            log("WARNING", "The database is away: no connection could be made.")
        self._away_until = time.monotonic() + _AWAY_SECONDS

    def close(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()


def _open(address: str, connections: int) -> "ConnectionPool[Any]":
    try:
        import psycopg
        import psycopg_pool
    except ImportError as error:
        raise ReleaseError(
            f"The release's rows are in PostgreSQL: expected psycopg and psycopg_pool, which "
            f"{_REQUIREMENTS} installs; found no {error.name}."
        ) from None
    try:
        psycopg.conninfo.conninfo_to_dict(address)
    except psycopg.ProgrammingError:
        raise ReleaseError(
            "The database's address: expected postgresql://user:password@host/name or what else "
            "libpq takes; found something else."
        ) from None
    # It tells each failure with the host's name.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    return psycopg_pool.ConnectionPool(
        address,
        connection_class=_timed(psycopg),
        kwargs={
            "autocommit": True,
            "connect_timeout": _CONNECT_SECONDS,
            "application_name": "lookalike",
        },
        min_size=1,
        max_size=connections,
        reconnect_timeout=_RECONNECT_SECONDS,
        max_lifetime=_LIFETIME_SECONDS,
        open=True,
    )


def _timed(psycopg: Any) -> Any:
    """Return psycopg's connection, whose every wait for the server ends at its `deadline`."""

    class Timed(psycopg.Connection):  # type: ignore[misc]
        deadline = math.inf

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            left = self.deadline - time.monotonic()
            if left < math.inf:
                timeout = max(0.0, left if timeout is None else min(left, timeout))
            return super().wait(gen, interval=interval, timeout=timeout)

    return Timed


def _asked(
    connection: Any,
    questions: Sequence[Question],
    settings: Mapping[str, str] | None,
    deadline: float,
) -> list[list[Row]]:
    left = deadline - time.monotonic()
    if left <= 0:
        raise _too_late()
    chosen = {"statement_timeout": str(max(1, round(left * 1e3))), "jit": "off", **(settings or {})}
    names = ", ".join("set_config(%s, %s, true)" for _ in chosen)
    values = [text for pair in chosen.items() for text in pair]
    connection.deadline = deadline + _GRACE_SECONDS
    try:
        with connection.pipeline(), connection.transaction():
            connection.execute(f"SELECT {names}", values)
            cursors = [
                connection.execute(question.text, question.values, binary=True)
                for question in questions
            ]
        return [cursor.fetchall() for cursor in cursors]
    except BaseException as error:
        # A server that says nothing leaves the connection between two answers.
        if time.monotonic() >= connection.deadline:
            connection.close()
            raise _too_late() from error
        raise
    finally:
        connection.deadline = math.inf


def _tell(error: Any) -> None:
    name, state = type(error).__name__, getattr(error, "sqlstate", None)
    log("WARNING", f"The database did not answer: {name}.", sqlstate=state)


def _away() -> DatabaseUnavailable:
    return DatabaseUnavailable(
        "The catalogue's database does not answer now. Try again in a moment."
    )


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded(
        "The search took longer than it may. Try again in a moment, or with fewer results."
    )
