"""A proxy before the GCS emulator that lets requests fail as networks and clouds do.

    with faulty_storage(gcs_server) as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        storage.fail("503", count=2, only="current.json")

| Kind | What the client meets |
|---|---|
| `503`, `429` | that status, with Google's JSON body; the request does not reach the storage |
| `reset` | the connection is reset; the request does not reach the storage |
| `lost` | the connection is reset after the storage has done what was asked |
| `slow` | nothing for `delay` seconds, then the answer |
| `trickle` | the answer's bytes, evenly over `delay` seconds |
| `truncate` | half of the answer's body, then the connection's end |
| `corrupt` | one byte changed: of an upload on its way to the storage, else of the answer |
"""

import gc
import http.client
import json
import socket
import struct
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

Kind = Literal["503", "429", "reset", "lost", "slow", "trickle", "truncate", "corrupt"]

# Of one connection alone; what is said of the body is said anew.
_HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "date"}

# A request's name for `only` holds so much of its body: an upload says there what it uploads.
_NAMED_BYTES = 1000

_PIECES = 50


@dataclass
class _Fault:
    kind: Kind
    left: int | None
    until: float
    only: str
    delay: float

    def takes(self, request: str) -> bool:
        return self.left != 0 and time.monotonic() < self.until and self.only in request


class FaultyStorage:
    """The proxy's controls; safe to use from several threads.

    Attributes:
        url: of the proxy, for STORAGE_EMULATOR_HOST.
        asked: "METHOD /path" of all requests, with the path unquoted.
        failed: (kind, "METHOD /path") of those that failed.
    """

    def __init__(self, url: str, target: tuple[str, int]) -> None:
        self.url = url
        self.asked: list[str] = []
        self.failed: list[tuple[Kind, str]] = []
        self.target = target
        self.closed = threading.Event()
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()

    def fail(
        self,
        kind: Kind,
        count: int | None = None,
        *,
        until: float = float("inf"),
        only: str = "",
        delay: float = 1.0,
    ) -> None:
        """Let requests fail, beside those that already do; the first fault that fits is taken.

        Args:
            kind: see the module.
            count: the next so many; None: all, until `heal`.
            until: the moment of `time.monotonic()` from which they pass again.
            only: what "METHOD /path body" must contain, the path unquoted: `GET`, `current.json`.
            delay: of slow and trickle, in seconds.
        """
        with self._lock:
            self._faults.append(_Fault(kind, count, until, only, delay))

    def heal(self) -> None:
        """Let all requests pass from now on; those under way keep their fault."""
        with self._lock:
            self._faults.clear()

    def meet(self, name: str, body: bytes) -> tuple[Kind | None, float]:
        """Note a request, and say how it fails, if it does, and its delay."""
        request = f"{name} {body[:_NAMED_BYTES].decode('latin-1')}"
        with self._lock:
            self.asked.append(name)
            for fault in self._faults:
                if fault.takes(request):
                    if fault.left is not None:
                        fault.left -= 1
                    self.failed.append((fault.kind, name))
                    return fault.kind, fault.delay
        return None, 0.0


@contextmanager
def faulty_storage(emulator: str) -> Iterator[FaultyStorage]:
    """A running proxy before the emulator's address, as http://127.0.0.1:PORT."""
    parts = urlsplit(emulator)
    assert parts.hostname is not None
    assert parts.port is not None
    server = _Server((parts.hostname, parts.port))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.storage
    finally:
        server.storage.closed.set()
        server.shutdown()
        server.server_close()
        thread.join()
        # Google's client forgets the sockets of answers that broke off, without closing them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


class _Server(ThreadingHTTPServer):
    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.storage = FaultyStorage(f"http://127.0.0.1:{self.server_address[1]}", target)

    def shutdown_request(self, request: Any) -> None:
        # The default says goodbye first, which would hide a reset.
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _pass_on(self) -> None:
        storage = self.server.storage
        assert "Transfer-Encoding" not in self.headers, "this proxy reads no chunked requests"
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind, delay = storage.meet(f"{self.command} {unquote(self.path)}", body)
        if kind in ("503", "429"):
            self._refuse(int(kind))
            return
        if kind == "reset":
            self._reset()
            return
        uploads = kind == "corrupt" and self.path.startswith("/upload/")
        answer, data = self._ask(_changed(body) if uploads else body)
        if kind == "lost":
            self._reset()
            return
        if kind == "slow":
            storage.closed.wait(delay)
        if kind == "corrupt" and not uploads:
            data = _changed(data)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_HEADERS:
                self.send_header(name, self._ours(value.encode()).decode())
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if kind == "trickle":
            step = max(1, len(data) // _PIECES)
            for start in range(0, len(data), step):
                storage.closed.wait(delay * step / len(data))
                self.wfile.write(data[start : start + step])
        elif kind == "truncate":
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        else:
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815

    def _ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(*self.server.storage.target, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_HEADERS}
        headers["Content-Length"] = str(len(body))
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.headers.get_content_type() == "application/json":
            data = self._ours(data)
        return answer, data

    def _ours(self, text: bytes) -> bytes:
        """Put the proxy's address where the emulator names its own: clients follow it."""
        host, port = self.server.storage.target
        return text.replace(f"http://{host}:{port}".encode(), self.server.storage.url.encode())

    def _refuse(self, status: int) -> None:
        body = json.dumps({"error": {"code": status, "message": "let fail by a test"}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        # Closed with nothing lingering, the kernel sends RST in place of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def _changed(body: bytes) -> bytes:
    """Change the byte three quarters in: of an upload behind what it says about itself."""
    if not body:
        return body
    place = len(body) * 3 // 4
    return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
