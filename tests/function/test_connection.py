"""What a real socket tells of a client: that it is gone, or only silent, or ahead of us."""

import socket
import struct
import time
from collections.abc import Iterator

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from function.connection import has_left, is_local


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends over TCP, as a server has it: ours and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    with ours, client:
        yield ours, client


def request(**environ: object) -> Request:
    return Request({**EnvironBuilder().get_environ(), **environ})


def comes_to_be_seen(ours: socket.socket) -> bool:
    deadline = time.monotonic() + 10
    asked = request(**{"gunicorn.socket": ours})
    while not has_left(asked) and time.monotonic() < deadline:
        time.sleep(0.001)
    return has_left(asked)


def test_a_client_that_waits_is_there(connection: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = connection
    assert not has_left(request(**{"gunicorn.socket": ours}))


def test_a_client_that_sends_its_next_request_already_is_there(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    ours, client = connection
    client.sendall(b"GET / HTTP/1.1\r\n")
    assert not has_left(request(**{"gunicorn.socket": ours}))
    assert ours.recv(100) == b"GET / HTTP/1.1\r\n"


def test_a_client_that_closed_has_left(connection: tuple[socket.socket, socket.socket]) -> None:
    ours, client = connection
    client.close()
    assert comes_to_be_seen(ours)


def test_a_client_that_broke_off_has_left(connection: tuple[socket.socket, socket.socket]) -> None:
    ours, client = connection
    # A reset, as of a process that was killed.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert comes_to_be_seen(ours)


def test_a_server_without_a_socket_cannot_tell() -> None:
    assert not has_left(request())


@pytest.mark.parametrize(
    ("address", "headers", "local"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("169.254.169.126", {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.7"}, False),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.7"}, False),
        ("127.0.0.1", {"Via": "1.1 proxy"}, False),
    ],
)
def test_only_an_own_connection_of_this_machine_is_local(
    address: str, headers: dict[str, str], local: bool
) -> None:
    environ = EnvironBuilder(headers=headers).get_environ()
    assert is_local(Request({**environ, "REMOTE_ADDR": address})) is local
