"""Where photos are decoded: in processes of their own, or in the thread that asks.

Decoders are written in C and fed by strangers. In a process of its own, one that crashes, or takes
more memory or time than it may, costs its own request and nothing else; `decoder` says how. It
costs a search some tenths of a millisecond.
"""

import fcntl
import json
import mmap
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .decoder import KEPT_BYTES, MAX_MESSAGE_BYTES
from .errors import (
    BadImage,
    BadRequest,
    DeadlineExceeded,
    FunctionError,
    PayloadTooLarge,
    Unavailable,
    UnsupportedImage,
)
from .nursery import Nursery
from .photo import PhotoLimits, check_size, load_pixels
from .region import Region

# The name of `decoder.decode_photos` in the nursery.
DECODER = "decodes photos"

# Of pixels: a square of 4,096. What nobody writes to takes no memory.
_LEAST_SHARED_BYTES = 3 * 4096**2
# A decoder is ended by its own alarm. Who waits for one that is not, gives up so much later.
_GRACE_SECONDS = 0.5
_ERRORS: Mapping[str, type[FunctionError]] = {
    kind.__name__: kind for kind in (BadRequest, BadImage, PayloadTooLarge, UnsupportedImage)
}


class Decoders:
    """Decodes photos. Safe for threads; as many decode at once as call.

    Args:
        limits: of each photo.
        nursery: forks the processes, where it is there; None: photos are to have none.
    """

    def __init__(self, limits: PhotoLimits, nursery: Nursery | None) -> None:
        self._limits = limits
        self._nursery = nursery
        # The last that decoded is the next: what it needs is in the processor's caches.
        self._idle: list[_Decoder] = []

    def load_pixels(
        self, data: bytes, size: int, region: Region | None, *, seconds: float
    ) -> NDArray[np.uint8]:
        """Decode as `photo.load_pixels` does.

        Args:
            data, size, region: as there.
            seconds: after which the decoder is ended, where it has a process of its own.

        Raises:
            BadImage, UnsupportedImage, PayloadTooLarge, BadRequest: as there; BadImage also where
                the decoder crashed.
            DeadlineExceeded: it took longer than it may.
            Unavailable: no decoder can be had; where none can be any more, this server ends, and
                another takes its place.
        """
        if self._nursery is None or not self._nursery.is_there:
            return load_pixels(data, size, self._limits, region)
        check_size(len(data), self._limits)
        job = {
            "bytes": len(data),
            "size": size,
            "region": None if region is None else asdict(region),
            "seconds": max(seconds, 0.001),
        }
        start = time.monotonic()
        decoder = self._given(self._nursery, job, data)
        answer = decoder.answer()
        if answer is None:
            if time.monotonic() - start >= seconds:
                raise DeadlineExceeded(
                    "The photo took longer to decode than it may. Try again with a smaller one."
                )
            raise BadImage(
                "The image cannot be decoded: its decoder failed. Open and save it again, or send "
                "another."
            )
        pixels = None if "error" in answer else decoder.pixels(size)
        decoder.clear(len(data))
        self._idle.append(decoder)
        if pixels is None:
            raise _ERRORS[answer["error"]](
                answer["message"], reason=answer["reason"], metadata=answer["metadata"]
            )
        return pixels

    def _given(self, nursery: Nursery, job: Mapping[str, Any], data: bytes) -> "_Decoder":
        """A decoder that has this to do."""
        with suppress(IndexError):
            while True:
                decoder = self._idle.pop()
                # One that was ended while it had nothing to do is passed over.
                with suppress(ConnectionError):
                    decoder.give(job, data)
                    return decoder
        decoder = self._fork(nursery)
        try:
            decoder.give(job, data)
        except ConnectionError:
            raise Unavailable(
                "No decoder of photos could be started. Try again in a moment."
            ) from None
        return decoder

    def _fork(self, nursery: Nursery) -> "_Decoder":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        shared = max(_LEAST_SHARED_BYTES, self._limits.max_bytes)
        memory = os.memfd_create("photo", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.truncate(memory, shared)
            # Who reads beyond the end of a file that was cut off is ended.
            fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            nursery.fork(DECODER, [theirs.fileno(), memory])
            return _Decoder(ours, mmap.mmap(memory, shared))
        finally:
            os.close(memory)
            theirs.close()


class _Decoder:
    """A process that decodes, as its callers see it."""

    def __init__(self, jobs: socket.socket, memory: mmap.mmap) -> None:
        self._jobs = jobs
        self._memory = memory

    def give(self, job: Mapping[str, Any], data: bytes) -> None:
        """Give it something to do; ConnectionError where it is there no more."""
        self._memory[: len(data)] = data
        self._jobs.settimeout(job["seconds"] + _GRACE_SECONDS)
        self._jobs.send(json.dumps(job).encode())

    def answer(self) -> dict[str, Any] | None:
        """Wait for what it says of its job; None: it ended, or says nothing in time."""
        try:
            message = self._jobs.recv(MAX_MESSAGE_BYTES)
        except (ConnectionError, TimeoutError):
            return None
        return json.loads(message) if message else None

    def pixels(self, size: int) -> NDArray[np.uint8]:
        """Return the pixels that it left, uint8 [size, size, 3]."""
        count = 3 * size * size
        return np.frombuffer(self._memory[:count], np.uint8).reshape(size, size, 3)

    def clear(self, used_bytes: int) -> None:
        """Give back what a large photo took."""
        if used_bytes > KEPT_BYTES:
            self._memory.madvise(mmap.MADV_REMOVE)
