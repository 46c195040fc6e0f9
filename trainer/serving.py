"""The current release on this machine: served as the cloud does, or searched without a server."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import function
from function.answer import Links, search_answer
from function.errors import ReleaseError
from function.loading import load_search_engine
from function.photo import load_pixels
from function.postgres.connection import Database
from function.release import IMAGES, current_release_id
from function.settings import BadSetting, Settings
from function.storage import open_storage
from trainer.errors import LookalikeError
from trainer.progress import console

ENTRY_POINT = "lookalike"
READY_SECONDS = 120
_POLL_SECONDS = 0.05


def serve(root: str, *, host: str, port: int, engine: str = "openvino") -> None:
    """Run the function under functions-framework until it ends or is interrupted.

    Prints the URL once a real query has passed.

    Raises:
        LookalikeError: there is no release in `root`, or none that can be served; the port is
            taken; or the function ended by itself.
    """
    if current_release_id(open_storage(root)) is None:
        raise LookalikeError(
            f"Expected a release in {root}; found none. Publish one: "
            f"lookalike publish --run RUN --catalog CATALOG --root {root}"
        )
    _check_port(host, port)
    command = (
        *(sys.executable, "-m", "functions_framework"),
        *("--source", str(Path(function.__file__).with_name("main.py"))),
        *("--target", ENTRY_POINT),
        *("--host", host, "--port", str(port)),
    )
    environment = {"THREADS": str(_settings().threads), **os.environ}
    environment |= {"LOOKALIKE_ROOT": root, "LOOKALIKE_ENGINE": engine}
    url = f"http://{host}:{port}"
    # Whoever ends this process by SIGTERM ends the server too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # The function logs to stdout, as the cloud wants it; ours is for results alone.
    with subprocess.Popen(command, env=environment, stdout=sys.stderr) as server:  # noqa: S603
        try:
            if _becomes_ready(server, url):
                link = f"[link={url}]{url}[/]"
                console.print(f"[green]✓[/] Lookalike is open at {link} (Ctrl-C ends it)")
            server.wait()
        finally:
            server.terminate()
    # Here it ended by itself; an interruption or SIGTERM of ours has left by its own way.
    if server.returncode != 0:
        raise LookalikeError(
            f"The function ended with status {server.returncode}; its last lines above say why."
        )


def search(photo: Path, root: str, *, page_size: int, engine: str) -> dict[str, Any]:
    """Answer one query as the function would: the body of `POST /v1/products:search`.

    Raises:
        LookalikeError: there is no such photo.
        FunctionError: it cannot be read, or there is no release that could serve.
    """
    if not photo.is_file():
        raise LookalikeError(f"Expected a photo at {photo}; found none.")
    storage, settings = open_storage(root), _settings()
    database = Database(settings.database, connections=1) if settings.database else None
    loaded = load_search_engine(
        storage, engine=engine, cache_dir=settings.cache_dir, database=database
    )
    start = time.perf_counter()
    pixels = load_pixels(photo.read_bytes(), loaded.image_size)
    decoding = {"decode": (time.perf_counter() - start) * 1e3}
    result = loaded.search(pixels, page_size)
    if database is not None:
        database.close()
    return search_answer(
        result,
        loaded.manifest,
        # Without a server, stored photos are where the publisher put them.
        Links(image_base_url=f"{storage.url}/{IMAGES}", origin=""),
        request_id="",
        timings_ms=decoding | result.timings_ms,
        cold_start=True,
    )


def _settings() -> Settings:
    try:
        return Settings.from_environment(os.environ)
    except BadSetting as error:
        raise LookalikeError(str(error)) from error


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        # As the server does: a port whose last connections still linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise LookalikeError(
                f"Expected port {port} of {host} to be free; {error.strerror}. "
                "Choose another with --port."
            ) from error


def _becomes_ready(server: "subprocess.Popen[bytes]", url: str) -> bool:
    """Wait until a real query has passed; False where the function ends before."""
    deadline = time.monotonic() + READY_SECONDS
    with console.status("Starting the function…"):
        while server.poll() is None:
            try:
                with urllib.request.urlopen(f"{url}/health/ready", timeout=5):  # noqa: S310
                    return True
            except urllib.error.HTTPError as refusal:
                _check_release(json.load(refusal))
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            if time.monotonic() > deadline:
                raise LookalikeError(
                    f"Expected the function to be ready within {READY_SECONDS} s; it is not. "
                    "Its lines above say what it does."
                )
            time.sleep(_POLL_SECONDS)
    return False


def _check_release(body: dict[str, Any]) -> None:
    error = body["error"]
    if error["details"][0]["reason"] == ReleaseError.default_reason:
        raise LookalikeError(f"{error['message']} The function's lines above say why.")
