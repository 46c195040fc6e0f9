"""ScaNN: the rows that look near to a query by their 4-bit scores, proposed in this process.

`proposing.py` says why it may have a process of its own, and asks it there; `serve_proposals` is
what that process does. The first line that comes over its first socket is JSON, `{"folder",
"standsBack"}`, and is answered by another, `{"rows"}` or `{"error"}`. Then each socket brings
questions, and takes an answer to each:

    question    depth, leaves, dim: uint32 each; vector: float32 [dim]
    answer      found: uint32; rows: int32 [found]; scores: float32 [found]

All little-endian. It ends when one of them is closed.
"""

import json
import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import ReleaseError
from .manifest import INDEX
from .memory import return_freed_memory
from .processor import stand_back

QUESTION = struct.Struct("<III")
FOUND = struct.Struct("<I")
_ASSETS = "scann_assets.pbtxt"

type Proposals = tuple[NDArray[np.int64], NDArray[np.float32]]


class Proposer(Protocol):
    """Proposes rows by their quantised scores. Safe to use from several threads.

    Attributes:
        rows: how many it knows.
    """

    rows: int

    def propose(self, vector: NDArray[np.float32], depth: int, leaves: int) -> Proposals:
        """Find rows by their quantised scores alone.

        Args:
            vector: float32, as long as the rows that it knows.
            depth: how many rows, at most all.
            leaves: clusters to look in, at most all.

        Returns:
            Row numbers and quantised scores, best first; `depth` of each, or less.

        Raises:
            Unavailable: it is away for a while.
        """


type OpenProposer = Callable[[Path], Proposer]
"""Loads ScaNN's files; raises what `ScannProposer` does, or Unavailable."""


class ScannProposer:
    """A `Proposer` in this process.

    Args:
        folder: with ScaNN's files.

    Raises:
        ReleaseError: they are not ours.
        OSError, ValueError, RuntimeError: they are missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._searcher = _load_scann(folder)
        self.rows: int = self._searcher.size()

    def propose(self, vector: NDArray[np.float32], depth: int, leaves: int) -> Proposals:
        found, scores = self._searcher.search(
            vector,
            final_num_neighbors=depth,
            pre_reorder_num_neighbors=depth,
            leaves_to_search=leaves,
        )
        return found.astype(np.int64), scores


class ProjectedProposer:
    """A `Proposer` that knows the rows by fewer numbers each.

    Args:
        proposer: of the projected rows.
        projection: float32 [dim, length]; vectors of length dim are multiplied by it.
    """

    def __init__(self, proposer: Proposer, projection: NDArray[np.float32]) -> None:
        self._proposer = proposer
        self._projection = projection
        self.rows = proposer.rows

    def propose(self, vector: NDArray[np.float32], depth: int, leaves: int) -> Proposals:
        return self._proposer.propose(vector @ self._projection, depth, leaves)


def _load_scann(folder: Path) -> Any:
    from scann.scann_ops.py import scann_ops_pybind

    # ScaNN would unpickle a file of document names and follow paths out of the folder.
    if (folder / "scann_docids.pkl").exists():
        raise ReleaseError(f"{INDEX}: expected no pickle; found scann_docids.pkl.")
    for path in re.findall(r'asset_path: "(.*)"', (folder / _ASSETS).read_text()):
        if Path(path).name != path:
            raise ReleaseError(f"{INDEX}/{_ASSETS}: expected names in its folder; found {path}.")
    return scann_ops_pybind.load_searcher(str(folder))


def serve_proposals(descriptors: Sequence[int]) -> None:
    """Load a folder and propose, until nobody asks any more; see the module.

    Args:
        descriptors: of sockets, one for each question that may come at a time.
    """
    sockets = [socket.socket(fileno=one) for one in descriptors]
    with sockets[0].makefile("rwb") as first:
        job = json.loads(first.readline())
        start = stand_back if job["standsBack"] else None
        try:
            with ThreadPoolExecutor(1, initializer=start) as pool:
                proposer = pool.submit(ScannProposer, Path(job["folder"])).result()
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            message = error.message if isinstance(error, ReleaseError) else None
            answer: dict[str, object] = {"error": message}
        else:
            answer = {"rows": proposer.rows}
        first.write(json.dumps(answer).encode() + b"\n")
        first.flush()
        if "error" in answer:
            return
    return_freed_memory()
    threads = [threading.Thread(target=_answer, args=(one, proposer)) for one in sockets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _answer(questions: socket.socket, proposer: Proposer) -> None:
    """Answer what comes over one socket; end the process where that is closed, or fails."""
    try:
        with questions.makefile("rwb") as file:
            while head := file.read(QUESTION.size):
                depth, leaves, dim = QUESTION.unpack(head)
                vector = np.frombuffer(file.read(4 * dim), np.float32)
                rows, scores = proposer.propose(vector, depth, leaves)
                file.write(FOUND.pack(len(rows)) + rows.astype(np.int32).tobytes())
                file.write(scores.tobytes())
                file.flush()
        os._exit(0)
    finally:
        os._exit(1)
