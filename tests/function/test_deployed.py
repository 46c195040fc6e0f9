"""The deployed folder stands alone: function/ in an empty place, with its requirements alone."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

import function
from tests.releases import TinyRelease
from tests.server import RunningFunction, run_function

REPOSITORY = Path(__file__).resolve().parents[2]
FUNCTION = Path(function.__file__).parent
REQUIREMENTS = FUNCTION / "requirements.txt"
CACHE = REPOSITORY / ".cache"


def working_uv() -> str:
    """A shim named uv may exist and fail, so each is tried by running it."""
    for candidate in (str(CACHE / "uv" / "bin" / "uv"), "uv"):
        if shutil.which(candidate):
            tried = subprocess.run([candidate, "--version"], capture_output=True, cwd="/")
            if tried.returncode == 0:
                return candidate
    pytest.skip("needs uv: make setup installs it")


@pytest.fixture(scope="module")
def function_python() -> Path:
    """Python in an environment of function/requirements.txt alone; kept until that changes."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    folder = CACHE / f"function-{wanted}"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "function.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            for old in CACHE.glob("function-*"):
                shutil.rmtree(old)
            uv, python = working_uv(), (REPOSITORY / ".python-version").read_text().strip()
            install = [uv, "pip", "install", "--quiet", "--require-hashes", "-r", str(REQUIREMENTS)]
            subprocess.run([uv, "venv", "--quiet", "--python", python, str(folder)], check=True)
            subprocess.run([*install, "--python", str(folder / "bin" / "python")], check=True)
            (folder / "complete").touch()
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def deployed(
    function_python: Path, tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningFunction]:
    place = tmp_path_factory.mktemp("deployed")
    shutil.copytree(
        FUNCTION, place / "workspace", ignore=shutil.ignore_patterns("__pycache__", ".*_cache")
    )
    with run_function(
        place / "log.txt",
        source=place / "workspace" / "main.py",
        python=function_python,
        root=str(tiny_release.root),
    ) as running:
        running.wait_until_ready()
        yield running


def test_it_answers_as_in_the_repository(
    deployed: RunningFunction, running_function: RunningFunction
) -> None:
    output = BytesIO()
    Image.linear_gradient("L").convert("RGB").save(output, "JPEG")
    here, there = (one.search(output.getvalue()).json() for one in (running_function, deployed))
    results = [body["productSearchResults"]["results"] for body in (here, there)]
    assert results[0]
    for one, other in zip(*results, strict=True):
        assert one["product"] == other["product"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-3)


def test_it_serves_the_page(deployed: RunningFunction) -> None:
    assert b"<!doctype html>" in deployed.get("/").body
    assert deployed.get("/branding.json").json()["title"]


def test_its_environment_holds_no_trainer(function_python: Path) -> None:
    check = "import importlib.util as u; assert not any(map(u.find_spec, ('jax', 'trainer')))"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([str(function_python), "-c", check], check=True, env=environment, cwd="/")
