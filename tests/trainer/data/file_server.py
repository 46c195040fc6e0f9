"""A web server of one file, with the failures of the web."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 20_000


class Server(ThreadingHTTPServer):
    """Serves CONTENT; may break off, refuse ranges, or answer an error."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.breaks_after: list[int] = []
        self.ranges = True
        self.status = 200
        self.content = CONTENT
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/archive.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.asked.append(wanted)
        start = int(wanted[6:-1]) if wanted and self.server.ranges else 0
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        if start >= len(self.server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(self.server.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.server.content) - start))
        self.end_headers()
        stop = (
            self.server.breaks_after.pop(0)
            if self.server.breaks_after
            else len(self.server.content)
        )
        self.wfile.write(self.server.content[start : start + stop])

    def log_message(self, *_: object) -> None:
        pass
