"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# No test is a race: how long an example takes depends on what else the machine does.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# Array shapes written as types are checked at every call while tests run.
install_import_hook("trainer", "beartype.beartype")

# The GCS emulator, PostgreSQL, Ray, releases, a browser, the function, its page and its client.
_PLUGINS = "gcs postgres ray_cluster releases many_releases browser server pages clients"
pytest_plugins = [f"tests.{name}" for name in _PLUGINS.split()]

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos and ImageNet weights, where there is one."""
    folder = Path(os.environ.get("LOOKALIKE_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"needs the real photos and weights: no {folder}; set LOOKALIKE_TEST_DATA")
    return folder
