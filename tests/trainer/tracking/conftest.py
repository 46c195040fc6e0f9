"""Trackers as they are where nothing may leave the machine."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No account, no network: whoever goes out, by the proxy or past it, fails the test.

    W&B's own process is no Python: what it sends takes the proxy that the environment names.
    """
    for name in ("WANDB_API_KEY", "WANDB_MODE", "MLFLOW_TRACKING_URI", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_ERROR_REPORTING", "MLFLOW_DISABLE_TELEMETRY"):
        # Set by the code under test, and forgotten after it.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "home" / name))
    monkeypatch.chdir(tmp_path)
    went_out: list[str] = []
    connect = socket.socket.connect

    def watched(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0] if isinstance(address, tuple) else address
            if host not in ("127.0.0.1", "::1", "localhost"):
                went_out.append(f"connected to {address}")
                raise OSError("this test is offline")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", watched)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, url)

        def count() -> None:
            while True:
                try:
                    client, _ = proxy.accept()
                except OSError:
                    return
                with client:
                    went_out.append(f"asked the proxy: {client.recv(200)!r}")

        counting = threading.Thread(target=count)
        counting.start()
        try:
            yield
        finally:
            proxy.shutdown(socket.SHUT_RDWR)
            counting.join()
    assert went_out == []
