"""Clients that post photos to a server, and count nothing but answers."""

import http.client
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from tests.benchmarks.timing import Timing

PATH = "/v1/products:search"
PATIENCE_SECONDS = 60.0
_BOUNDARY = "benchmark-boundary"


@dataclass(frozen=True)
class Load:
    """What some clients saw.

    Attributes:
        timing: of each answer.
        rate: answers a second, of all clients together.
        stages: the median of what the answers themselves say was spent, ms by stage; empty where
            they say nothing.
    """

    timing: Timing
    rate: float
    stages: dict[str, float]


def encode(photo: bytes) -> tuple[bytes, dict[str, str]]:
    """A search's body and headers."""
    head = (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="image"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = head.encode() + photo + f"\r\n--{_BOUNDARY}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    return body, headers


def post(connection: http.client.HTTPConnection, photo: bytes) -> dict[str, Any]:
    """One search; its answer. RuntimeError: it was none."""
    body, headers = encode(photo)
    connection.request("POST", PATH, body, headers)
    response = connection.getresponse()
    content = response.read()
    if response.status != http.HTTPStatus.OK:
        raise RuntimeError(f"expected 200; found {response.status}: {content[:300]!r}")
    answer: dict[str, Any] = json.loads(content)
    return answer


def connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)


def load(port: int, photos: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Have each client post one photo after the other; the first that fails ends it all.

    Args:
        port: of a server on this machine.
        photos: posted in turn, each client beginning elsewhere.
        clients: at once, each with a connection that it keeps.
        seconds: how long.
    """
    end = time.perf_counter() + seconds

    def client(first: int) -> list[tuple[float, dict[str, float]]]:
        connection = connect(port)
        taken = []
        for number in count(first * len(photos) // clients):
            start = time.perf_counter()
            if start > end:
                break
            answer = post(connection, photos[number % len(photos)])
            taken.append((time.perf_counter() - start, answer.get("timingsMs", {})))
        connection.close()
        return taken

    with ThreadPoolExecutor(clients) as pool:
        start = time.perf_counter()
        taken = [one for some in pool.map(client, range(clients)) for one in some]
        elapsed = time.perf_counter() - start
    names = dict.fromkeys(name for _, stages in taken for name in stages)
    return Load(
        Timing.of(spent for spent, _ in taken),
        len(taken) / elapsed,
        {name: float(np.median([stages.get(name, 0.0) for _, stages in taken])) for name in names},
    )
