"""The container files: what their linters say, and that what is copied suffices."""

import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import yaml

from tests.gcloud import INFRA, REPOSITORY, check_schema

DOCKERFILE = INFRA / "Dockerfile"
COMPOSE = INFRA / "compose.yaml"


def copied() -> list[str]:
    """What the Dockerfile takes from the repository."""
    lines = re.findall(r"^COPY --chown=\d+ (.*)$", DOCKERFILE.read_text(), re.MULTILINE)
    patterns = [word for line in lines for word in line.split()[:-1]]
    names = {path.name for path in REPOSITORY.iterdir()}
    return sorted(name for name in names if any(fnmatch(name, pattern) for pattern in patterns))


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), DOCKERFILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_compose_file_is_of_its_schema() -> None:
    check_schema(COMPOSE, "vendor.compose-spec")


def test_nothing_runs_as_root_or_listens_beyond_this_machine() -> None:
    users = re.findall(r"^USER (\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert users[-1] not in ("0", "root")
    for service in yaml.safe_load(COMPOSE.read_text())["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_builder_gets_what_is_copied() -> None:
    let_in = (INFRA / "Dockerfile.dockerignore").read_text().splitlines()
    patterns = [line.removeprefix("!") for line in let_in if line.startswith("!")]
    for name in copied():
        assert any(fnmatch(name, pattern) for pattern in patterns), name


def test_what_is_copied_is_enough_to_install_the_project(tmp_path: Path) -> None:
    for name in copied():
        path = REPOSITORY / name
        if path.is_dir():
            skip = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, tmp_path / name, ignore=skip)
        else:
            shutil.copy(path, tmp_path / name)
    assert (tmp_path / "Makefile").exists()
    subprocess.run(
        [sys.executable, "-c", "from hatchling.build import build_editable as b; b('.')"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert list(tmp_path.glob("lookalike-*.whl"))


def test_the_commands_are_the_projects_own() -> None:
    from trainer.cli import demo, serve

    services = yaml.safe_load(COMPOSE.read_text())["services"]
    assert services["make"]["command"][0] == demo.Demo.__name__.lower()
    assert services["shop"]["command"][0] == serve.Serve.__name__.lower()
