"""A real Ray cluster of processes on loopback addresses: a head, nodes to add, and to kill."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ports import free_port

# Smaller than Ray would take: several nodes share this machine.
_STORE_BYTES = 100 * 2**20
_NODE = "LOOKALIKE_TEST_RAY_NODE"


@dataclass(frozen=True)
class RayNode:
    """One node: its processes carry its name in their environment, or come from one that does."""

    name: str
    address: str

    def pids(self) -> list[int]:
        """Its daemons, its workers and what these have started."""
        return _marked(f"{_NODE}={self.name}".encode())

    def kill(self) -> None:
        """SIGKILL to all of it, as when a machine loses power; returns when nothing is left."""
        _kill_all(self.pids)


class RayCluster:
    """A head without processors at 127.0.0.10, and nodes from 127.0.0.11 on.

    Each node's daemons are processes of this machine. What joins, a driver too, needs
    `environment`; nothing outside of it is read or written but a short folder of its own: the path
    of a Unix socket has 107 characters at most.
    """

    def __init__(self) -> None:
        """Start the head; returns when it can be joined."""
        self._token = secrets.token_hex(32)
        self._folder = Path(tempfile.mkdtemp(prefix="ray-"))
        self.address = f"127.0.0.10:{free_port()}"
        """Where nodes and drivers join."""
        self.nodes: list[RayNode] = []
        """All that were started after the head, the killed ones too."""
        try:
            port = self.address.rpartition(":")[2]
            head = ("--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false")
            self.head = self._start("127.0.0.10", *head)
        except BaseException:
            self.stop()
            raise

    @property
    def environment(self) -> dict[str, str]:
        """This process's, with what a driver of the cluster needs."""
        # Dozens of processes import Ray: it is compiled once.
        compiling = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return {
            **compiling,
            "RAY_ADDRESS": self.address,
            # Without a token given, Ray makes one below the home folder.
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self._token,
            "RAY_USAGE_STATS_ENABLED": "0",
            # Two processors are shared by all: a node that must wait is not a dead one.
            "RAY_health_check_timeout_ms": "30000",
        }

    def add_nodes(self, *cpus: int, options: Sequence[str] = ()) -> list[RayNode]:
        """Start further nodes; returns when all have joined.

        Args:
            cpus: as many as each of them says it has.
            options: further ones of `ray start`.
        """
        added = []
        # Of several that join at once, one is left without an answer.
        for count in cpus:
            join = (f"--address={self.address}", f"--num-cpus={count}", *options)
            added.append(self._start(f"127.0.0.{11 + len(self.nodes)}", *join))
            self.nodes.append(added[-1])
        return added

    def stop(self) -> None:
        """Kill all that belongs to the cluster, drivers with its token too; remove its files."""
        _kill_all(lambda: _marked(f"RAY_AUTH_TOKEN={self._token}".encode()))
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, address: str, *options: str) -> RayNode:
        name = f"{self._folder.name}/{address}"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", *options),
                *(f"--node-ip-address={address}", f"--temp-dir={self._folder}"),
                *(f"--object-store-memory={_STORE_BYTES}", "--log-color=false"),
            ],
            env={**self.environment, _NODE: name},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return RayNode(name, address)


@pytest.fixture
def ray_cluster() -> Iterator[Callable[..., RayCluster]]:
    """Starts a cluster with nodes of these processors; all of it is gone when the test ends."""
    clusters: list[RayCluster] = []

    def start(*cpus: int) -> RayCluster:
        cluster = RayCluster()
        clusters.append(cluster)
        cluster.add_nodes(*cpus)
        return cluster

    yield start
    for cluster in clusters:
        cluster.stop()


def _marked(variable: bytes) -> list[int]:
    """The living processes that carry this variable in their environment, and all below them.

    Some of Ray's write their title over their environment; those that started them do not.
    """
    parents: dict[int, int] = {}
    found: set[int] = set()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        pid = int(folder.name)
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            # A zombie is dead: who started it has not asked yet.
            if state == "Z" or pid == os.getpid():
                continue
            parents[pid] = int(parent)
            if variable in (folder / "environ").read_bytes().split(b"\0"):
                found.add(pid)
        except OSError:
            continue
    while below := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= below
    return sorted(found)


def _kill_all(pids: Callable[[], list[int]]) -> None:
    """Until none is left: those that die may just have started others."""
    while left := pids():
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)
