"""Whether the client of a request still waits for its answer."""

import select
import socket
from collections.abc import Mapping
from typing import Any


def has_left(environ: Mapping[str, Any]) -> bool:
    """Say whether the client has closed its connection.

    What it sent after its request, as the next one, does not count. False where the server does not
    hand its socket over, as gunicorn does under this name.

    Args:
        environ: of a request whose body was read.
    """
    connection = environ.get("gunicorn.socket")
    if not isinstance(connection, socket.socket):
        return False
    try:
        readable = select.poll()
        readable.register(connection, select.POLLIN)
        return bool(readable.poll(0)) and connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True
