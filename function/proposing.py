"""Where rows are proposed: in a process of their own, or in the thread that asks.

ScaNN holds Python's lock while it loads, about a microsecond for each row, and in that time this
process answers nobody; in a process of its own it loads beside the answers. A process that crashes,
or stands still, costs no search: the index does without proposals until there is another one.
Asking it takes a tenth of a millisecond longer, two after a rest.
"""

import json
import socket
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from io import BufferedRWPair
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from .errors import FunctionError, ReleaseError, Unavailable
from .nursery import MOST_DESCRIPTORS, Nursery
from .proposer import FOUND, QUESTION, Proposals, Proposer, ScannProposer
from .telemetry import log

# The name of `proposer.serve_proposals` in the nursery.
PROPOSER = "searches an index"

# A question takes some milliseconds. Who has heard nothing for so long takes the process for lost.
_PATIENCE_SECONDS = 2.0
# From one replacement to the next, at the least: what ends at once is not to take the processors.
_RESTART_SECONDS = 10.0


class Proposers:
    """Opens what proposes rows of an index.

    Args:
        nursery: forks processes, where it is there.
        questions: that may be asked of one index at a time.
    """

    def __init__(self, nursery: Nursery, questions: int) -> None:
        self._nursery = nursery
        self._questions = min(questions, MOST_DESCRIPTORS)

    def open(self, folder: Path, *, stands_back: bool = False) -> Proposer:
        """Load ScaNN's files.

        Args:
            folder: that has them.
            stands_back: whether to load where others leave a processor idle.

        Raises:
            ReleaseError: they are not ours.
            OSError, ValueError, RuntimeError: they are missing or damaged.
            Unavailable: the process ended meanwhile; or this server does, as `Nursery.fork` says.
        """
        if not self._nursery.is_there:
            return ScannProposer(folder)
        return ProcessProposer(self._nursery, self._questions, folder, stands_back=stands_back)


class ProcessProposer:
    """A `Proposer` in a process of its own, which is replaced where it is lost.

    Args:
        nursery, questions: as of `Proposers`.
        folder, stands_back: as of `Proposers.open`, whose errors are raised.
    """

    def __init__(
        self, nursery: Nursery, questions: int, folder: Path, *, stands_back: bool
    ) -> None:
        self._nursery = nursery
        self._questions = questions
        self._folder = folder
        self._lock = threading.Lock()
        self._is_starting = False
        self._due_at = 0.0
        self._process: _Process | None = self._fork(stands_back=stands_back)
        self.rows = self._process.rows

    def propose(self, vector: NDArray[np.float32], depth: int, leaves: int) -> Proposals:
        process = self._process
        if process is not None:
            try:
                return process.propose(vector, depth, leaves)
            except (OSError, EOFError):
                self._lose(process)
        self._start_another()
        raise Unavailable("The index starts anew. Try again in a moment.")

    def _fork(self, *, stands_back: bool) -> "_Process":
        return _Process(self._nursery, self._questions, self._folder, stands_back=stands_back)

    def _lose(self, process: "_Process") -> None:
        with self._lock:
            if self._process is process:
                self._process = None
                log("WARNING", "An index is searched without its tree until that is loaded anew.")
        process.close()

    def _start_another(self) -> None:
        with self._lock:
            now = time.monotonic()
            if self._process or self._is_starting or now < self._due_at:
                return
            self._is_starting, self._due_at = True, now + _RESTART_SECONDS
        threading.Thread(target=self._restart, name="load-index", daemon=True).start()

    def _restart(self) -> None:
        try:
            self._process = self._fork(stands_back=True)
        except (FunctionError, OSError, RuntimeError) as error:
            log("ERROR", f"The tree of an index was not loaded anew ({type(error).__name__}).")
        else:
            log("INFO", "The tree of an index is loaded anew.")
        finally:
            self._is_starting = False


class _Process:
    """One process, and the sockets over which it is asked.

    Attributes:
        rows: as of `Proposer`.
    """

    def __init__(
        self, nursery: Nursery, questions: int, folder: Path, *, stands_back: bool
    ) -> None:
        pairs = [socket.socketpair() for _ in range(questions)]
        self._sockets = [ours for ours, _ in pairs]
        weakref.finalize(self, _close, self._sockets)
        try:
            nursery.fork(PROPOSER, [theirs.fileno() for _, theirs in pairs])
        finally:
            _close([theirs for _, theirs in pairs])
        files = [one.makefile("rwb") for one in self._sockets]
        self.rows = _loaded(files[0], folder, stands_back=stands_back)
        self._idle: SimpleQueue[BufferedRWPair] = SimpleQueue()
        for ours, file in zip(self._sockets, files, strict=True):
            ours.settimeout(_PATIENCE_SECONDS)
            self._idle.put(file)

    def propose(self, vector: NDArray[np.float32], depth: int, leaves: int) -> Proposals:
        """Ask it; OSError or EOFError where it is lost."""
        file = self._idle.get()
        try:
            file.write(QUESTION.pack(depth, leaves, len(vector)) + vector.tobytes())
            file.flush()
            (found,) = FOUND.unpack(_read(file, FOUND.size))
            rows = np.frombuffer(_read(file, 4 * found), np.int32)
            scores = np.frombuffer(_read(file, 4 * found), np.float32)
        finally:
            self._idle.put(file)
        return rows.astype(np.int64), scores

    def close(self) -> None:
        """Have it end, and all who wait for it hear so."""
        for one in self._sockets:
            # Not closed: a thread that uses it may not find another file under its number.
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _loaded(file: BufferedRWPair, folder: Path, *, stands_back: bool) -> int:
    """Have a folder loaded, and return how many rows it has."""
    job = {"folder": str(folder), "standsBack": stands_back}
    line = b""
    with suppress(ConnectionError):
        file.write(json.dumps(job).encode() + b"\n")
        file.flush()
        line = file.readline()
    if not line:
        # The files are those that were published: it ran out of memory, or was killed.
        raise Unavailable("The process of an index ended while it loaded. It is tried again.")
    answer = json.loads(line)
    if "rows" in answer:
        return int(answer["rows"])
    if answer["error"] is None:
        raise RuntimeError("ScaNN does not load these files.")
    raise ReleaseError(answer["error"])


def _read(file: BufferedRWPair, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise EOFError("The process has ended.")
    return data


def _close(sockets: Sequence[socket.socket]) -> None:
    for one in sockets:
        one.close()
