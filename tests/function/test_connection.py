"""What a real socket tells of a client: that it is gone, or only silent, or ahead of us."""

import socket
import struct
import time
from collections.abc import Iterator

import pytest

from function.connection import has_left


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends over TCP, as a server has it: ours and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    with ours, client:
        yield ours, client


def comes_to_be_seen(ours: socket.socket) -> bool:
    deadline = time.monotonic() + 10
    asked = {"gunicorn.socket": ours}
    while not has_left(asked) and time.monotonic() < deadline:
        time.sleep(0.001)
    return has_left(asked)


def test_a_client_that_waits_is_there(connection: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = connection
    assert not has_left({"gunicorn.socket": ours})


def test_a_client_that_sends_its_next_request_already_is_there(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    ours, client = connection
    client.sendall(b"GET / HTTP/1.1\r\n")
    assert not has_left({"gunicorn.socket": ours})
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
    assert not has_left({})
