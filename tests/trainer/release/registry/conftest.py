"""Empty roots."""

from pathlib import Path

import pytest

from function.storage import Storage, open_storage


@pytest.fixture
def storage(storage_root: str) -> Storage:
    """An empty root, in a folder and in a bucket."""
    return open_storage(storage_root)


@pytest.fixture
def local(tmp_path: Path) -> Storage:
    """An empty root in a folder, where the storage makes no difference."""
    return open_storage(tmp_path / "local")
