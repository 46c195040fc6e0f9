"""The function under the real functions-framework and gunicorn, as the cloud runs it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import function
from tests.ports import free_port
from tests.releases import TinyRelease

SOURCE = Path(function.__file__).with_name("main.py")
START_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json", self.body[:200]
        return json.loads(self.body)


@dataclass(frozen=True)
class RunningFunction:
    """A server process of our own."""

    port: int
    log: Path
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        chunked: bool = False,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {}, encode_chunked=chunked)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, headers=headers)

    def search(
        self, photo: bytes, headers: Mapping[str, str] | None = None, **fields: Any
    ) -> Answer:
        """Post a photo as multipart/form-data."""
        body, content_type = form(photo, **fields)
        return self.request(
            "POST", "/v1/products:search", body, {"Content-Type": content_type, **(headers or {})}
        )

    def search_json(self, body: Any) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request(
            "POST", "/v1/products:search", data, {"Content-Type": "application/json"}
        )

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while (answer := self.get("/health/ready")).status != 200:
            assert time.monotonic() < deadline, (answer.body, self.log.read_text())
            time.sleep(0.05)

    def metric(self, name: str) -> float:
        """The sum of a metric over the labels that the name leaves open."""
        text = self.get("/metrics").body.decode()
        values = re.findall(rf"^{re.escape(name)}.*?(\S+)$", text, re.MULTILINE)
        return sum(map(float, values))

    def log_lines(self) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def form(photo: bytes, filename: str = "photo.jpg", **fields: Any) -> tuple[bytes, str]:
    """A multipart body and its content type; a list becomes a repeated part."""
    boundary = uuid4().hex
    parts = [(f'name="image"; filename="{filename}"', photo)]
    for name, value in fields.items():
        items = value if isinstance(value, list) else [value]
        parts += [(f'name="{name}"', str(item).encode()) for item in items]
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data + b"\r\n"
        for head, data in parts
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


@contextmanager
def run_function(
    log: Path,
    *,
    source: Path = SOURCE,
    python: Path | str = sys.executable,
    threads: str = "8",
    port: int = 0,
    **settings: str,
) -> Iterator[RunningFunction]:
    """Start the function with these LOOKALIKE_ settings, until it listens; end it afterwards.

    Without a `port` it gets one that is free.
    """
    port = port or free_port()
    command = [str(python), "-m", "functions_framework", "--source", str(source)]
    command += ["--target", "lookalike", "--host", "127.0.0.1", "--port", str(port)]
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("LOOKALIKE_", "PYTHONPATH"))
    }
    environment |= {f"LOOKALIKE_{name.upper()}": value for name, value in settings.items()}
    environment["THREADS"] = threads
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=source.parent,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    running = RunningFunction(port, log, process)
    try:
        _wait_until_listening(running, process)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_listening(running: RunningFunction, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            running.get("/health/live")
        except ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"the function did not start:\n{running.log.read_text()}")


@pytest.fixture(scope="session")
def running_function(
    tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningFunction]:
    """The function over the tiny release, ready; its settings are the defaults but for CORS."""
    log = tmp_path_factory.mktemp("function") / "log.txt"
    with run_function(
        log, root=str(tiny_release.root), cors_origins="https://shop.example"
    ) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="session")
def function_url(running_function: RunningFunction) -> str:
    """Address of the function over the tiny release."""
    return running_function.url
