"""What the connection of a request itself tells, whatever its headers say."""

import socket

from flask import Request


def has_left(request: Request) -> bool:
    """Whether the client has closed its connection; False where that cannot be seen.

    The server's socket is looked at without taking anything from it: end of file means that the
    client is gone, and bytes are a next request that it has sent already.
    """
    connection = request.environ.get("gunicorn.socket")
    if not isinstance(connection, socket.socket):
        return False
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def is_local(request: Request) -> bool:
    """Whether a process of this machine asks, and for itself: nothing says that it is a proxy."""
    passed_on = {"Forwarded", "X-Forwarded-For", "Via"} & set(request.headers.keys())
    return request.remote_addr in ("127.0.0.1", "::1") and not passed_on
