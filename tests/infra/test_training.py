"""start.sh, as a machine runs it at each start; what belongs to a machine is only taken down."""

import os
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.gcloud import INFRA
from tests.ports import Quiet, answering

METADATA = {
    "run": "gs://shop-1-looks/runs/first",
    "catalog": "gs://shop-1-looks/catalog",
    "extra": "cuda",
    "options": "--steps 10 --loss arcface",
}
TRAINING = (
    ".venv/bin/lookalike train --catalog gs://shop-1-looks/catalog "
    "--run gs://shop-1-looks/runs/first --restarts 10 --steps 10 --loss arcface"
)


@pytest.fixture
def metadata_server() -> Iterator[str]:
    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/computeMetadata/v1/instance/attributes/")
            known = name in METADATA and self.headers["Metadata-Flavor"] == "Google"
            data = METADATA.get(name, "").encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with answering(Handler) as port:
        yield f"127.0.0.1:{port}"


def start(folder: Path, metadata_server: str, *, trainings_status: int) -> tuple[int, list[str]]:
    """Run it; its status, and what was called of the machine."""
    calls = folder / "calls"
    tools = folder / "bin"
    tools.mkdir(parents=True)
    for name, does in (
        ("gcloud", '[[ $* != *"source.tar.gz -" ]] || tar -cz --files-from=/dev/null'),
        ("make", ":"),
        ("python3", ":"),
        ("systemd-run", f"exit {trainings_status}"),
        ("shutdown", ":"),
    ):
        (tools / name).write_text(f'#!/bin/bash\necho "{name} $*" >>{calls}\n{does}\n')
        (tools / name).chmod(0o755)
    done = subprocess.run(
        [INFRA / "training" / "start.sh"],
        env={
            "PATH": f"{tools}:{os.environ['PATH']}",
            "GCE_METADATA_HOST": metadata_server,
            "LOOKALIKE_PLACE": str(folder / "place"),
        },
        capture_output=True,
        text=True,
        # Nothing that it started keeps running.
        timeout=50,
        check=False,
    )
    return done.returncode, calls.read_text().splitlines()


@pytest.mark.parametrize("status", [0, 1])
def test_a_machine_installs_trains_keeps_its_log_and_stops(
    status: int, metadata_server: str, tmp_path: Path
) -> None:
    ended, calls = start(tmp_path, metadata_server, trainings_status=status)
    assert ended == status
    (source,) = [n for n, call in enumerate(calls) if "source.tar.gz -" in call]
    setup = calls.index("make setup EXTRAS=cuda")
    (training,) = [n for n, call in enumerate(calls) if call.endswith(TRAINING)]
    assert source < setup < training
    assert calls[training + 1] == "shutdown -h +1"
    assert f"{METADATA['run']}/logs/" in calls[-1]


def test_a_machine_that_starts_again_trains_with_the_same_command(
    metadata_server: str, tmp_path: Path
) -> None:
    runs = []
    for number in range(2):
        _, calls = start(tmp_path / str(number), metadata_server, trainings_status=0)
        runs.append([call for call in calls if call.endswith(TRAINING)])
    assert [len(run) for run in runs] == [1, 1]
