"""The real gcloud against servers of our own: a storage emulator, and what answers as the cloud."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.gcloud import INFRA, REPOSITORY, WHERE, gcloud_environment, need_gcloud
from tests.gcs import run_gcs
from tests.ports import Quiet, answering

pytestmark = pytest.mark.slow

OLD, NEW = "lookalike-00001", "lookalike-00002"
NEW_URL = "https://candidate---lookalike-x.a.run.app"
READY = [{"type": name, "status": "True"} for name in ("Ready", "RoutesReady")]


@pytest.fixture(autouse=True)
def _gcloud() -> None:
    need_gcloud()


def run(
    command: list[str | Path], environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        env=dict(environment),
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_the_bucket_is_made_once_and_set_up_twice(tmp_path: Path) -> None:
    with run_gcs(tmp_path / "log.txt") as server:
        environment = gcloud_environment(
            tmp_path,
            **WHERE,
            YES="1",
            CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE=f"{server}/storage/v1/",
            # Says on stderr what it sends.
            CLOUDSDK_CORE_LOG_HTTP="true",
        )
        first, second = (run([INFRA / "setup" / "bucket.sh"], environment) for _ in range(2))
        source = tmp_path / "source.tar.gz"
        source.write_bytes(b"source")
        target = "gs://shop-1-looks/runs/first/source.tar.gz"
        copies = [run(["gcloud", "storage", "cp", source, target], environment) for _ in range(2)]
        read = run(["gcloud", "storage", "cat", target], environment)
    for done in (first, second, *copies, read):
        assert done.returncode == 0, done.stderr
    assert "gcloud storage buckets create" in first.stderr
    assert "gcloud storage buckets create" not in second.stderr
    assert read.stdout == "source"
    for sent in (
        '"versioning": {"enabled": true}',
        '"daysSinceNoncurrentTime": 30',
        '"matchesPrefix": ["runs/"]',
        '"AbortIncompleteMultipartUpload"',
        '"maxAgeSeconds": 86400',
    ):
        assert sent in second.stderr
    assert '"publicAccessPrevention": "enforced"' in first.stderr
    assert '"uniformBucketLevelAccess": {"enabled": true}' in first.stderr


@dataclass
class Cloud:
    """What answers as Cloud Run and Cloud Build do, for one service.

    Attributes:
        url: where it listens; also as a proxy, for gcloud puts the region before a host's name.
        service: the one that there is; None before the first deployment.
        builds: what was submitted.
    """

    url: str = ""
    service: dict[str, Any] | None = None
    builds: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        if path.partition("?")[0].endswith("/builds"):
            self.builds.append(json.loads(body))
            name = "projects/shop-1/locations/europe-west1/builds/1"
            build = {"id": "1", "name": name, "projectId": "shop-1", "status": "QUEUED"}
            kind = "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata"
            return {"name": "operations/1", "metadata": {"@type": kind, "build": build}}
        if "/services/" not in path:
            items = [] if self.service is None else [self.service]
            return {"apiVersion": "serving.knative.dev/v1", "kind": "ServiceList", "items": items}
        assert self.service is not None
        if method == "PUT":
            self.service["spec"] = json.loads(body)["spec"]
        return self.service

    def deploy(self, *, first: bool) -> None:
        """As if a revision had been deployed; but for the first, without traffic."""
        old = {"revisionName": NEW if first else OLD, "percent": 100}
        tagged = {"revisionName": NEW, "tag": "candidate"}
        self.service = {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {
                "name": "lookalike",
                "namespace": "1",
                "generation": 2,
                "resourceVersion": "A",
                "labels": {"cloud.googleapis.com/location": "europe-west1"},
                "annotations": {},
            },
            "spec": {
                "template": {"metadata": {"name": NEW}, "spec": {"containers": [{"image": "i"}]}},
                "traffic": [old, tagged],
            },
            "status": {
                "observedGeneration": 2,
                "latestReadyRevisionName": NEW,
                "latestCreatedRevisionName": NEW,
                "url": "https://lookalike-x.a.run.app",
                "conditions": READY,
                "traffic": [old, tagged | {"url": NEW_URL}],
            },
        }


@contextmanager
def running(cloud: Cloud) -> Iterator[None]:
    class Handler(Quiet, BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            data = json.dumps(cloud.answer(self.command, self.path, body)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def do_PUT(self) -> None:
            self.answer()

    with answering(Handler) as port:
        cloud.url = f"http://127.0.0.1:{port}/"
        yield


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    cloud = Cloud()
    with running(cloud):
        yield cloud


@pytest.fixture
def environment(cloud: Cloud, tmp_path: Path) -> Mapping[str, str]:
    """gcloud asks the cloud above; a deployment itself is only taken down in `deployed`."""
    real = shutil.which("gcloud")
    door = tmp_path / "bin" / "gcloud"
    door.parent.mkdir()
    door.write_text(
        f'#!/bin/bash\n[[ "$1 $2" != "run deploy" ]] || exec echo "$@" >>{tmp_path}/deployed\n'
        f'exec {real} "$@"\n'
    )
    door.chmod(0o755)
    return gcloud_environment(
        tmp_path,
        **WHERE,
        YES="1",
        PATH=f"{door.parent}:{os.environ['PATH']}",
        http_proxy=cloud.url,
        CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN="http://run.test/",
        CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBUILD=cloud.url,
    )


def test_the_first_revision_of_a_service_gets_its_traffic_at_once(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    done = run([INFRA / "deploy.sh"], environment)
    assert done.returncode == 0, done.stderr
    assert "--no-traffic" not in (tmp_path / "deployed").read_text()
    assert done.stdout == ""
    assert "is new, and closed" in done.stderr


def test_a_later_revision_is_asked_at_its_own_address_before_it_gets_traffic(
    cloud: Cloud, environment: Mapping[str, str], tmp_path: Path
) -> None:
    cloud.deploy(first=False)
    done = run([INFRA / "deploy.sh"], environment)
    assert done.returncode == 0, done.stderr
    assert "--no-traffic" in (tmp_path / "deployed").read_text()
    assert done.stdout == f"{NEW_URL}\n"
    assert cloud.service is not None
    assert cloud.service["spec"]["traffic"][0] == {"revisionName": OLD, "percent": 100}
    moved = run([INFRA / "traffic.sh"], environment)
    assert moved.returncode == 0, moved.stderr
    assert cloud.service["spec"]["traffic"] == [{"revisionName": NEW, "percent": 100}]


def test_a_cloud_that_cannot_be_asked_is_not_taken_for_a_new_service(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    unreachable = {
        **environment,
        "http_proxy": "http://127.0.0.1:1",
        "CLOUDSDK_CORE_MAX_RETRIES": "1",
    }
    done = run([INFRA / "deploy.sh"], unreachable)
    assert done.returncode != 0
    assert not (tmp_path / "deployed").exists()


def test_the_build_is_submitted_as_it_stands(cloud: Cloud, environment: Mapping[str, str]) -> None:
    done = run(
        [
            *("gcloud", "builds", "submit", "--no-source", "--async", "--config=cloudbuild.yaml"),
            *("--project=shop-1", "--region=europe-west1"),
            "--substitutions=_ROOT=gs://shop-1-looks,SHORT_SHA=abc1234",
        ],
        environment,
    )
    assert done.returncode == 0, done.stderr
    (sent,) = cloud.builds
    build = yaml.safe_load((REPOSITORY / "cloudbuild.yaml").read_text())
    assert sent["steps"] == build["steps"]
    assert sent["options"]["logging"] == "CLOUD_LOGGING_ONLY"
    assert sent["substitutions"] == build["substitutions"] | {
        "_ROOT": "gs://shop-1-looks",
        "SHORT_SHA": "abc1234",
    }
