"""The indexes of a loaded release, built after its rows are there: the vectors' takes the longest.

How far the server is, it tells another connection (pg_stat_progress_create_index).
"""

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any

from psycopg import Connection
from psycopg.errors import Diagnostic
from psycopg.sql import SQL, Identifier

from function.postgres.schema import SCANN, AccessMethod, indexes
from trainer.progress import console, progress_bar
from trainer.release.database.connection import Database

# The keys of products and photos, by which a loader knows what is there.
KEYS = ("terms", "products", "photos")
_VECTORS = "vectors"

_POLL_SECONDS = 0.5

_TWO_LEVELS_ROWS = 10_000_000

# Blocks are what a build is told in before it knows its rows, and some are in nothing else.
_PROGRESS = """
SELECT greatest(tuples_done, 0)::float8 / nullif(tuples_total, 0),
       blocks_done::float8 / nullif(blocks_total, 0)
FROM pg_stat_progress_create_index WHERE pid = %s
"""


def make_keys(connection: Connection[Any], loading: str, method: AccessMethod) -> None:
    """Make what a loader needs, over the empty tables of a namespace."""
    statements = indexes(loading, method)
    for key in KEYS:
        connection.execute(statements[key].encode())


def default_options(method: AccessMethod, rows: int) -> str:
    """Return the options of an index over so many vectors.

    A graph has the server's own. AlloyDB's tree asks for the number of its leaves: these are what
    its documentation advises, one level of them up to ten million rows and two above.
    """
    if method is not SCANN:
        return ""
    if rows <= _TWO_LEVELS_ROWS:
        return f"num_leaves = {max(1, round(rows ** (1 / 2)))}"
    return f"num_leaves = {round(rows ** (2 / 3))}, max_num_levels = 2"


def build_indexes(
    connection: Connection[Any],
    database: Database,
    loading: str,
    method: AccessMethod,
    *,
    options: str = "",
) -> None:
    """Build all other indexes of a loaded namespace, with progress and time left, and analyse it.

    The server's maintenance_work_mem says what memory the build may take: an address ending in
    ?options=-c%20maintenance_work_mem%3D8GB sets it for this session. Where a graph outgrows it the
    server says so, and the build goes on many times slower; that is passed on.

    Args:
        connection: the one that loaded it.
        database: of the connection; asked by another one how far the server is.
        loading: the namespace.
        method, options: of the vectors' index, as for `function.postgres.schema.indexes`.
    """
    connection.add_notice_handler(_pass_on)
    statements = indexes(loading, method, options)
    for what, statement in statements.items():
        if what == _VECTORS:
            _analyse(connection, loading)
        if what not in KEYS:
            _build(connection, database, what, statement)


def _analyse(connection: Connection[Any], loading: str) -> None:
    """Tell the planner what the tables hold, and mark all rows as seen by everybody.

    Else the server would do that by itself, beside the vectors' index and through it.
    """
    with console.status("Analysing…"):
        for table in ("release", "term", "product", "image"):
            connection.execute(
                SQL("VACUUM (FREEZE, ANALYZE) {}.{}").format(Identifier(loading), Identifier(table))
            )


def _build(connection: Connection[Any], database: Database, what: str, statement: str) -> None:
    """Run a statement, and show how far it is."""
    with (
        ThreadPoolExecutor(1) as pool,
        database.connected() as other,
        progress_bar(f"Indexing {what}", 100) as bar,
    ):
        running = pool.submit(connection.execute, statement.encode())
        done = 0
        try:
            while not _ended(running):
                told = other.execute(_PROGRESS, [connection.info.backend_pid]).fetchone()
                share = max(filter(None, told), default=0.0) if told else 0.0
                # Of several phases each begins anew.
                now = min(99, int(100 * share))
                bar.advance(max(0, now - done))
                done = max(done, now)
            bar.advance(100 - done)
        finally:
            if not running.done():
                connection.cancel_safe()


def _ended(running: "Future[Any]") -> bool:
    try:
        running.result(timeout=_POLL_SECONDS)
    except NotYet:
        return False
    return True


def _pass_on(diagnosis: Diagnostic) -> None:
    if diagnosis.severity_nonlocalized != "DEBUG" and diagnosis.message_primary:
        hint = f" {diagnosis.message_hint}" if diagnosis.message_hint else ""
        console.print(f"PostgreSQL: {diagnosis.message_primary}.{hint}", soft_wrap=True)
