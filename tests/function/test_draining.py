"""SIGTERM under load, as clouds end an instance: each request that was let in gets its answer."""

import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from function.draining import let_nobody_in
from tests.answers import PHOTO
from tests.releases import TinyRelease
from tests.server import RunningFunction, form, run_function
from tests.waiting import eventually

CLIENTS = 12
BODY, CONTENT_TYPE = form(PHOTO)


def head(connection: str) -> bytes:
    return (
        "POST /v1/products:search HTTP/1.1\r\nHost: here\r\n"
        f"Connection: {connection}\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    ).encode()


class Broken(Exception):
    """A request that was sent, and got no whole answer."""


def receive(connection: socket.socket) -> tuple[int, bool]:
    """Read one whole answer: its status, and whether the server closes the connection."""
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            data += _more(connection)
        start, _, body = data.partition(b"\r\n\r\n")
        lines = start.lower().split(b"\r\n")
        (length,) = (int(x.split(b":")[1]) for x in lines if x.startswith(b"content-length:"))
        while len(body) < length:
            body += _more(connection)
    except OSError as error:
        raise Broken(f"{type(error).__name__} after {len(data)} bytes") from error
    return int(start.split()[1]), b"connection: close" in lines


def _more(connection: socket.socket) -> bytes:
    if not (data := connection.recv(65536)):
        raise Broken("the connection ended before the answer did")
    return data


def search_until_refused(running: RunningFunction, told: "Counter[str]", kept: bool) -> None:
    """Search as fast as answers come; a connection for each search, or one for all."""
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", running.port), timeout=60)
        except ConnectionError:
            # Turned away before anything was sent: a client asks elsewhere.
            return
        with connection:
            closes = False
            while not closes:
                try:
                    connection.sendall(head("keep-alive" if kept else "close") + BODY)
                    status, closes = receive(connection)
                except (Broken, OSError) as error:
                    told[f"{type(error).__name__}: {error}"] += 1
                    break
                told[str(status)] += 1


@pytest.mark.parametrize("kept", [False, True], ids=["a connection each", "kept connections"])
def test_under_load_no_request_is_lost(
    tiny_release: TinyRelease, tmp_path: Path, kept: bool
) -> None:
    told: Counter[str] = Counter()
    log = tmp_path / "log.txt"
    with run_function(log, root=str(tiny_release.root), threads="24") as running:
        running.wait_until_ready()
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [
                pool.submit(search_until_refused, running, told, kept) for _ in range(CLIENTS)
            ]
            eventually(lambda: told["200"] > 4 * CLIENTS)
            running.process.send_signal(signal.SIGTERM)
            for client in clients:
                client.result()
        assert running.process.wait(30) == 0
    print(f"{sum(told.values())} requests of {CLIENTS} clients around SIGTERM: {dict(told)}")
    assert set(told) == {"200"}


def test_an_upload_under_way_is_waited_for_and_newcomers_are_turned_away(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    with run_function(tmp_path / "log.txt", root=str(tiny_release.root)) as running:
        running.wait_until_ready()
        address = ("127.0.0.1", running.port)
        with socket.create_connection(address, timeout=60) as connection:
            connection.sendall(head("close") + BODY[:1000])
            # A moment for the worker to take the connection up.
            time.sleep(0.2)
            running.process.send_signal(signal.SIGTERM)

            def is_closed() -> bool:
                try:
                    socket.create_connection(address, timeout=60).close()
                except ConnectionRefusedError:
                    return True
                return False

            eventually(is_closed)
            assert running.process.poll() is None
            connection.sendall(BODY[1000:])
            assert receive(connection) == (200, True)
        assert running.process.wait(30) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="a filter of Linux's kernel")
def test_who_waits_is_let_in_and_who_comes_later_hears_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address):
            let_nobody_in(listener)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.2)
            listener.settimeout(60)
            listener.accept()[0].close()


LET_NOBODY_IN = """
import socket, sys
from function.draining import let_nobody_in

let_nobody_in(socket.socket(fileno=int(sys.argv[1])))
"""


def test_a_socket_that_the_parent_serves_on_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-c", LET_NOBODY_IN, str(listener.fileno())]
        subprocess.run(command, pass_fds=[listener.fileno()], check=True)
        socket.create_connection(listener.getsockname(), timeout=60).close()
