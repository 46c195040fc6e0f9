"""The real function over HTTP: cold start to the first answer, latency alone and with four clients.

    python -m tests.benchmarks.serving [--root .lookalike/studio] [--engine openvino]

Starts functions-framework on a published release and posts a 1024×768 and a 12-megapixel JPEG. The
clients share the machine with the server. Named limit of the same run: the time that the answers
themselves say was spent on decoding, the network and the index; the rest is HTTP.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

import function
from tests.benchmarks.timing import Row, Timing, report
from tests.ports import free_port

SECONDS = 8.0
READY_SECONDS = 60.0
PHOTOS = {"1024×768": (1024, 768), "4032×3024": (4032, 3024)}
BOUNDARY = "benchmark-boundary"


def jpeg(size: tuple[int, int]) -> bytes:
    """Smooth noise with some grain: as large a file as a photo of this size."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (24, 32, 3), np.uint8)).resize(size)
    grain = random.integers(-12, 13, (size[1], size[0], 1), np.int16)
    file = BytesIO()
    pixels = (np.asarray(coarse, np.int16) + grain).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=85)
    return file.getvalue()


def post(connection: http.client.HTTPConnection, photo: bytes) -> dict:
    """One search; its answer."""
    head = (
        f"--{BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="image"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = head.encode() + photo + f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection.request("POST", "/v1/products:search", body, headers)
    response = connection.getresponse()
    content = response.read()
    if response.status != http.HTTPStatus.OK:
        raise RuntimeError(f"expected 200; found {response.status}: {content[:300]!r}")
    return json.loads(content)


@contextmanager
def serving(root: str, engine: str, port: int):
    """The function as it is deployed: one worker, eight threads, on a port of this machine."""
    command = [sys.executable, "-m", "functions_framework", "--target", "lookalike"]
    command += ["--source", str(Path(function.__file__).with_name("main.py"))]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {
        "LOOKALIKE_ROOT": root,
        "LOOKALIKE_ENGINE": engine,
        "WORKERS": "1",
        "THREADS": "8",
    }
    server = subprocess.Popen(
        command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        yield server
    finally:
        server.terminate()
        server.wait(10)


def first_answer(port: int, photo: bytes, server: subprocess.Popen) -> None:
    """Ask until there is an answer."""
    deadline = time.monotonic() + READY_SECONDS
    problem: Exception | None = None
    while time.monotonic() < deadline and server.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_SECONDS)
        try:
            post(connection, photo)
        except (OSError, http.client.HTTPException, RuntimeError) as error:
            problem = error
            time.sleep(0.02)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError(f"the function gave no answer; server status {server.poll()}, {problem!r}")


def load(port: int, photo: bytes, clients: int) -> tuple[Timing, float, float]:
    """Latency as the clients see it, answers a second, and the median of the stages in ms."""
    end = time.perf_counter() + SECONDS

    def client(_: int) -> list[tuple[float, float]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_SECONDS)
        taken = []
        while time.perf_counter() < end:
            start = time.perf_counter()
            answer = post(connection, photo)
            seconds = time.perf_counter() - start
            taken.append((seconds, sum(answer["timingsMs"].values())))
        connection.close()
        return taken

    with ThreadPoolExecutor(clients) as pool:
        start = time.perf_counter()
        taken = [one for client_taken in pool.map(client, range(clients)) for one in client_taken]
        elapsed = time.perf_counter() - start
    return (
        Timing.of(seconds for seconds, _ in taken),
        len(taken) / elapsed,
        float(np.median([stages for _, stages in taken])),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default=".lookalike/studio", help="a folder with a release")
    parser.add_argument("--engine", default="openvino")
    arguments = parser.parse_args()
    photos = {name: jpeg(size) for name, size in PHOTOS.items()}
    port = free_port()
    rows: list[Row] = []
    start = time.perf_counter()
    with serving(arguments.root, arguments.engine, port) as server:
        first_answer(port, photos["1024×768"], server)
        cold_start = time.perf_counter() - start
        for name, photo in photos.items():
            for clients in (1, 4):
                load_timing, rate, stages = load(port, photo, clients)
                rows.append(
                    {
                        "photo": f"{name}, {len(photo) / 1e3:,.0f} kB",
                        "clients": clients,
                        "p50 ms": load_timing.p50,
                        "p95 ms": load_timing.p95,
                        "answers/s": rate,
                        "stages ms": stages,
                        "p50 / stages": load_timing.p50 / stages,
                    }
                )
    title = f"HTTP search, {arguments.engine}; cold start to the first answer {cold_start:.2f} s"
    report("serving", title, rows)


if __name__ == "__main__":
    main()
