"""function/requirements*.txt are what each way to serve needs of the locks, and nothing else."""

import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]
GROUPS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]
FILES = {
    "function": "function/requirements.txt",
    "function-jax": "function/requirements-jax.txt",
    "function-pg": "function/requirements-pg.txt",
}


def pinned(name: str) -> dict[str, tuple[Requirement, frozenset[str]]]:
    """Each package of a requirements file, with its hashes."""
    logical_lines = (REPOSITORY / name).read_text().replace("\\\n", " ").splitlines()
    packages = {}
    for line in logical_lines:
        requirement, *hashes = line.split(" --hash=")
        entry = Requirement(requirement.strip())
        packages[canonicalize_name(entry.name)] = (entry, frozenset(h.strip() for h in hashes))
    return packages


@pytest.mark.parametrize("group", FILES)
def test_every_package_is_pinned_as_in_the_lock(group: str) -> None:
    lock = pinned("requirements-pg.lock" if group == "function-pg" else "requirements.lock")
    for name, (requirement, hashes) in pinned(FILES[group]).items():
        locked, locked_hashes = lock[name]
        assert requirement.specifier == locked.specifier, f"{name}: run `make lock`"
        assert hashes == locked_hashes, f"{name}: run `make lock`"
        assert hashes


@pytest.mark.parametrize("group", FILES)
def test_it_holds_what_pyproject_asks_for_and_all_that_this_needs(group: str) -> None:
    found = pinned(FILES[group])
    waiting = [Requirement(text) for text in GROUPS[group]]
    reached = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        assert name in found, f"{FILES[group]} lacks {name}: run `make lock`"
        if name not in reached:
            reached.add(name)
            waiting += needs(name, requirement.extras)
    here = {n for n, (r, _) in found.items() if not r.marker or r.marker.evaluate()}
    assert here == reached, f"{FILES[group]} holds what nothing asks for: run `make lock`"


def needs(name: str, extras: set[str]) -> list[Requirement]:
    below = [Requirement(text) for text in metadata.requires(name) or []]
    environments = [{"extra": extra} for extra in extras or {""}]
    kept = [r for r in below if not r.marker or any(map(r.marker.evaluate, environments))]
    for requirement in kept:
        requirement.marker = None
    return kept


def test_each_engine_brings_only_itself() -> None:
    default, jax = pinned(FILES["function"]), pinned(FILES["function-jax"])
    assert "openvino" in default
    assert not {"jax", "jaxlib", "flax", "orbax-checkpoint", "tensorstore"} & default.keys()
    assert {"jax", "orbax-checkpoint"} <= jax.keys()
    assert not {"openvino", "flax", "gcsfs", "optax"} & jax.keys()


def test_an_index_in_a_database_brings_no_index_of_its_own() -> None:
    default, database = pinned(FILES["function"]), pinned(FILES["function-pg"])
    assert {"psycopg", "psycopg-pool", "pgvector", "openvino"} <= database.keys()
    assert "scann" not in database
    assert not {"psycopg", "pgvector"} & default.keys()
