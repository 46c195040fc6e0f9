"""What deploys the function: checked without a cloud, as far as that goes."""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from function.settings import Settings

# What Cloud Run gives an instance to finish what it has begun.
SECONDS_FROM_SIGTERM_TO_SIGKILL = 10

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "infra" / "deploy.sh"
README = REPOSITORY / "infra" / "README.md"

# Those that every build of a trigger knows.
BUILT_IN_SUBSTITUTIONS = {"PROJECT_ID", "PROJECT_NUMBER", "LOCATION", "BUILD_ID", "COMMIT_SHA"}


@pytest.fixture
def build() -> dict[str, Any]:
    return dict(yaml.safe_load((REPOSITORY / "cloudbuild.yaml").read_text()))


@pytest.fixture
def deploy(tmp_path: Path):
    """Run deploy.sh with a gcloud that only says how it was called."""
    stub = tmp_path / "gcloud"
    stub.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    stub.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def run(*options: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([DEPLOY, *options], env=environment, capture_output=True, text=True)

    return run


def the_command(deploy, *options: str) -> list[str]:
    where = ("--project", "shop-1", "--region", "europe-west1", "--root", "gs://shop-1/looks")
    done = deploy(*where, *options)
    assert done.returncode == 0, done.stderr
    return ["gcloud", *done.stdout.splitlines()]


def lint(commands: list[str], folder: Path) -> list[dict[str, Any]]:
    """What the installed gcloud thinks of command lines; it needs no network and no login."""
    if shutil.which("gcloud") is None:
        pytest.skip("needs gcloud to check its command lines")
    text = folder / "commands.md"
    # Commands outside a fenced block are not looked at.
    text.write_text("```bash\n" + "\n".join(commands) + "\n```\n")
    done = subprocess.run(
        ["gcloud", "meta", "lint-gcloud-commands", f"--commands-text-file={text}"],
        env={**os.environ, "CLOUDSDK_CONFIG": str(folder / "configuration")},
        capture_output=True,
        text=True,
    )
    try:
        return list(json.loads(done.stdout))
    except ValueError:
        pytest.fail(done.stderr)


def test_every_step_waits_only_for_steps_before_it(build):
    seen = set()
    for step in build["steps"]:
        assert set(step.get("waitFor", [])) <= seen
        seen.add(step["id"])


def test_every_substitution_is_declared_and_used(build):
    used = set(re.findall(r"\$\{?([A-Z_]+)\}?", yaml.safe_dump(build["steps"])))
    assert used - BUILT_IN_SUBSTITUTIONS == set(build["substitutions"])


def test_the_build_deploys_only_after_the_checks(build):
    check, slow, deployment = build["steps"]
    assert check["args"] == [".ci/run"]
    assert slow["args"] == [".ci/slow"]
    assert deployment["args"][0] == "infra/deploy.sh"
    assert deployment["waitFor"] == [check["id"], slow["id"]]
    for step in build["steps"]:
        assert os.access(REPOSITORY / step["args"][0], os.X_OK)


def test_the_build_passes_options_that_deploy_knows(build, deploy):
    options = [item for item in build["steps"][-1]["args"] if item.startswith("--")]
    known = re.findall(r"--[a-z-]+", deploy("--help").stdout)
    assert set(options) <= set(known)


def test_deploy_serves_the_root_with_as_many_threads_as_requests(deploy):
    command = the_command(deploy)
    assert "--function=lookalike" in command
    assert "--source=function" in command
    assert "--concurrency=24" in command
    assert "--update-env-vars=^|^LOOKALIKE_ROOT=gs://shop-1/looks|THREADS=24" in command


def test_deploy_leaves_threads_to_those_who_need_not_wait_for_a_search(deploy):
    fields = dict(item.split("=", 1) for item in the_command(deploy) if "=" in item)
    processors = int(fields["--cpu"])
    assert int(fields["--concurrency"]) == Settings(max_running=processors).threads


def test_the_platform_waits_longer_than_a_search_may_take(deploy):
    (timeout,) = [item for item in the_command(deploy) if item.startswith("--timeout=")]
    assert int(timeout.removeprefix("--timeout=")) > Settings().deadline_seconds
    assert Settings().deadline_seconds < SECONDS_FROM_SIGTERM_TO_SIGKILL


def test_deploy_leaves_origins_that_it_is_not_given_as_they_are(deploy):
    (unsaid,) = [item for item in the_command(deploy) if item.startswith("--update-env-vars=")]
    assert "CORS" not in unsaid
    (said,) = [
        item
        for item in the_command(deploy, "--cors-origins", "https://a.example,https://b.example")
        if item.startswith("--update-env-vars=")
    ]
    assert said.endswith("|LOOKALIKE_CORS_ORIGINS=https://a.example,https://b.example")


def test_deploy_mounts_the_secret_of_the_keys_where_the_function_reads_them(deploy):
    assert not [item for item in the_command(deploy) if "secret" in item or "API_KEYS" in item]
    command = the_command(deploy, "--api-keys", "shop-keys", "--cors-origins", "https://a.example")
    (mount,) = [item for item in command if item.startswith("--update-secrets=")]
    path, mounted = mount.removeprefix("--update-secrets=").split("=")
    assert mounted == "shop-keys:latest"
    (said,) = [item for item in command if item.startswith("--update-env-vars=")]
    variables = dict(item.split("=", 1) for item in said.split("|")[2:])
    assert variables["LOOKALIKE_API_KEYS"] == path
    assert variables["LOOKALIKE_CORS_ORIGINS"] == "https://a.example"


def test_deploy_sends_requests_only_to_an_instance_whose_release_is_loaded(deploy):
    (probe,) = [item for item in the_command(deploy) if item.startswith("--startup-probe=")]
    fields = dict(item.split("=") for item in probe.removeprefix("--startup-probe=").split(","))
    assert fields["httpGet.path"] == "/health/ready"
    # Cloud Run refuses a probe that takes longer than four minutes in all.
    assert int(fields["periodSeconds"]) * int(fields["failureThreshold"]) <= 240
    assert int(fields["timeoutSeconds"]) <= int(fields["periodSeconds"])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "--project is missing"),
        (("--project",), "expected a value"),
        (("--projekt", "shop-1"), "no such option"),
        (("--project", "shop-1", "--region", "r", "--root", "release"), "found 'release'"),
    ],
)
def test_deploy_says_what_is_wrong_and_deploys_nothing(deploy, options, complaint):
    done = deploy(*options)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("options", [(), ("--api-keys", "shop-keys")])
def test_gcloud_knows_the_command_that_deploys(deploy, tmp_path, options):
    (result,) = lint([shlex.join(the_command(deploy, *options))], tmp_path)
    assert result["success"], result["error_message"]


def test_gcloud_knows_every_command_of_the_manual(tmp_path):
    text = README.read_text()
    values = {"PROJECT": "shop-1", "REGION": "europe-west1", "BUCKET": "shop-1-lookalike"}
    values["ACCOUNTS"] = "shop-1.iam.gserviceaccount.com"
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    commands = [line for line in blocks.splitlines() if line.startswith("gcloud ")]
    # A $ may also end a pattern, as in '^main$'.
    results = lint([Template(line).safe_substitute(values) for line in commands], tmp_path)
    assert len(results) == len(commands)
    assert not [item["error_message"] for item in results if not item["success"]]
