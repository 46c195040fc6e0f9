"""Releases in a database: their namespaces made, put in place, counted and removed.

A release is loaded into a namespace of another name, which no function looks for, and renamed when
it is whole. Who loads holds an advisory lock of that name, which the server frees as soon as its
connection ends: so what a loader that was killed left behind can be told from one at work.
"""

import time
from collections.abc import Collection
from typing import Any
from uuid import uuid4

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from function.manifest import Counts
from function.postgres.schema import SCHEMA_VERSION, AccessMethod
from trainer.progress import console
from trainer.release.identity import ID_DIGITS

_LOADING = "loading-"

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"

# A replica that lags by more is not waited for: functions that read from it go on with the release
# that they have until it is there.
_REPLICA_SECONDS = 600.0
_BEHIND = """
SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn < %s::pg_lsn
"""


def make_loading(connection: Connection[Any]) -> str:
    """Make an empty namespace to load into, held until the connection ends; return its name."""
    name = f"{_LOADING}{uuid4().hex[:ID_DIGITS]}"
    # Locked before it is there, so that nobody takes it for abandoned.
    connection.execute(_LOCK, [name])
    connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
    return name


def index_id(loading: str) -> str:
    """Return the id of the index in a namespace: no two builds of a graph are the same."""
    return loading.removeprefix(_LOADING)


def drop_abandoned(connection: Connection[Any]) -> list[str]:
    """Remove what loaders that are gone left behind; return the names."""
    listed = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s) ORDER BY 1", [_LOADING]
    ).fetchall()
    dropped = []
    for (name,) in listed:
        if connection.execute(_LOCK, [name]).fetchone() == (True,):
            drop_release(connection, name)
            connection.execute(_UNLOCK, [name])
            dropped.append(name)
    return dropped


def complete(
    connection: Connection[Any], loading: str, method: AccessMethod, dim: int, counts: Counts
) -> None:
    """Write what a loaded namespace says about itself: with it, all of it is there."""
    connection.execute(
        SQL(
            "INSERT INTO {}.release (schema_version, access_method, dim, products, images, "
            "index_id) VALUES (%s, %s, %s, %s, %s, %s)"
        ).format(Identifier(loading)),
        [SCHEMA_VERSION, method.name, dim, counts.products, counts.images, index_id(loading)],
    )


def is_complete(connection: Connection[Any], name: str) -> bool:
    """Say whether there is a namespace of that name with all that was loaded."""
    if not present(connection, [name]):
        return False
    found = connection.execute(SQL("SELECT FROM {}.release").format(Identifier(name)))
    return found.rowcount == 1


def put_in_place(connection: Connection[Any], loading: str, release_id: str) -> None:
    """Let a complete namespace be a release's, in one step, and wait for the replicas."""
    connection.execute(
        SQL("ALTER SCHEMA {} RENAME TO {}").format(Identifier(loading), Identifier(release_id))
    )
    _wait_for_replicas(connection)


def _wait_for_replicas(connection: Connection[Any]) -> None:
    """Return when the replicas that follow now have all that was committed.

    Their positions are told to roles that may read them (pg_monitor) alone; others do not wait.
    """
    (written,) = connection.execute("SELECT pg_current_wal_lsn()").fetchone() or (None,)
    end = time.monotonic() + _REPLICA_SECONDS
    while (behind := connection.execute(_BEHIND, [written]).fetchone()) != (0,):
        if time.monotonic() > end:
            console.print(f"{behind[0] if behind else ''} replicas lag; not waited for any longer.")
            return
        time.sleep(0.2)


def drop_release(connection: Connection[Any], release_id: str) -> None:
    """Remove a release's namespace with all in it, or nothing where there is none."""
    connection.execute("SET client_min_messages = warning")
    connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(release_id)))


def present(connection: Connection[Any], release_ids: Collection[str]) -> list[str]:
    """Return which of these releases have a namespace, in order."""
    found = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s) ORDER BY 1", [[*release_ids]]
    )
    return [name for (name,) in found]


def size_of(connection: Connection[Any], release_ids: Collection[str]) -> int:
    """Return the bytes of these releases' tables and indexes."""
    (size,) = connection.execute(
        "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c JOIN "
        "pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = ANY(%s)",
        [[*release_ids]],
    ).fetchone() or (0,)
    return int(size)
