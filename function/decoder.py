"""A process that photos are decoded in, where they have one of their own.

The system limits a decoder's memory and time, and ends it first where memory is short.

A decoder is given a socket and memory that it shares with whoever asks. A photo's bytes lie in the
memory, and a JSON message says what is wanted; the pixels take the bytes' place, and a message says
so, or which error there was. A decoder that is ended says nothing: its socket is closed.
"""

import json
import mmap
import resource
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from .errors import FunctionError
from .memory import keep_freed_memory
from .photo import PhotoLimits, load_pixels
from .region import Region

MAX_MESSAGE_BYTES = 16_384
# Of memory, between photos: all that one of 1024×768 takes.
KEPT_BYTES = 4 << 20
_ENDED_FIRST = "1000"


def decode_photos(descriptors: Sequence[int], limits: PhotoLimits) -> None:
    """Decode what is asked for, until nobody asks any more.

    Args:
        descriptors: of a socket, and of the memory that is shared with whoever asks.
        limits: of each photo.
    """
    jobs, memory = socket.socket(fileno=descriptors[0]), mmap.mmap(descriptors[1], 0)
    _limit_memory(limits.max_memory_bytes)
    keep_freed_memory(KEPT_BYTES)
    while message := jobs.recv(MAX_MESSAGE_BYTES):
        job = json.loads(message)
        # Its default is to end the process, whatever that does.
        signal.setitimer(signal.ITIMER_REAL, job["seconds"])
        answer = _answer(job, memory, limits)
        signal.setitimer(signal.ITIMER_REAL, 0)
        jobs.send(json.dumps(answer).encode())


def _answer(job: dict[str, Any], memory: mmap.mmap, limits: PhotoLimits) -> dict[str, object]:
    region = None if job["region"] is None else Region(**job["region"])
    try:
        pixels = load_pixels(memory[: job["bytes"]], job["size"], limits, region)
    except FunctionError as error:
        return {
            "error": type(error).__name__,
            "message": error.message,
            "reason": error.reason,
            "metadata": error.metadata,
        }
    memory[: pixels.nbytes] = np.ascontiguousarray(pixels).data.cast("B")
    return {}


def _limit_memory(more_bytes: int) -> None:
    """Limit what the system gives out to so much more than there is."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_ENDED_FIRST)
