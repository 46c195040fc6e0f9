"""A SQLite file that several threads read."""

import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

# Fewer than SQLite's smallest limit of host parameters, 999.
_VALUES_PER_QUERY = 900


class Database:
    """One connection for all threads.

    It keeps the file open even when its name is removed, until it is closed or nobody holds it any
    more; a look-up takes microseconds.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        # It holds itself, by its cache of statements, and would be closed by the collector alone.
        weakref.finalize(self, connection.close)

    def all(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of an answer."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def all_in(self, query: str, values: Sequence[object]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of `query` IN (values), however many values there are."""
        for start in range(0, len(values), _VALUES_PER_QUERY):
            some = values[start : start + _VALUES_PER_QUERY]
            yield from self.all(f"{query} IN ({','.join('?' * len(some))})", some)

    def close(self) -> None:
        """Free the file."""
        with self._lock:
            self._connection.close()
