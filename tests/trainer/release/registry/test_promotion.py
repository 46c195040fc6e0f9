"""People choose what is served: one way back after the other, and never into a race."""

import pytest

from function.manifest import EMBEDDER_ONNX
from function.release import current_release_id, read_pointer, set_current
from function.storage import Storage
from tests.many_releases import FIRST, SECOND, THIRD, AddRelease
from trainer.errors import RegistryError
from trainer.release.registry import promotion
from trainer.release.registry.promotion import Move, promote, roll_back


def test_rollbacks_lead_back_one_by_one_and_never_forth(
    storage: Storage, add_release: AddRelease
) -> None:
    for release_id in (FIRST, SECOND, THIRD):
        add_release(storage, release_id)
    assert roll_back(storage, dry_run=True) == Move(THIRD, SECOND, (FIRST,))
    assert current_release_id(storage) == THIRD
    assert roll_back(storage, verify=False) == Move(THIRD, SECOND, (FIRST,))
    assert roll_back(storage, verify=False) == Move(SECOND, FIRST, ())
    assert current_release_id(storage) == FIRST
    with pytest.raises(RegistryError, match="found none to go back to"):
        roll_back(storage, verify=False)
    assert promote(storage, THIRD, verify=False) == Move(FIRST, THIRD, (FIRST,))
    assert current_release_id(storage) == THIRD


def test_a_rollback_passes_over_what_is_no_longer_there(
    local: Storage, add_release: AddRelease
) -> None:
    for release_id in (FIRST, SECOND, THIRD):
        add_release(local, release_id)
    local.delete(f"releases/{SECOND}/manifest.json")
    assert roll_back(local, verify=False) == Move(THIRD, FIRST, (), missing=(SECOND,))


def test_what_would_not_serve_is_not_promoted_unless_that_is_asked(
    local: Storage, add_release: AddRelease
) -> None:
    for release_id in (FIRST, SECOND):
        add_release(local, release_id)
    local.write(f"releases/{FIRST}/{EMBEDDER_ONNX}", b"")
    local.delete(f"releases/{FIRST}/golden.npz")
    with pytest.raises(RegistryError, match=r"would not serve:\n  embedder.*\n  golden"):
        promote(local, FIRST)
    with pytest.raises(RegistryError, match="would not serve"):
        roll_back(local)
    assert current_release_id(local) == SECOND
    promote(local, FIRST, verify=False)
    assert current_release_id(local) == FIRST


def test_a_publisher_that_came_between_is_not_overruled(
    local: Storage, add_release: AddRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    for release_id in (FIRST, SECOND, THIRD):
        add_release(local, release_id, current=release_id != THIRD)
    verify = promotion.verify_release

    def meanwhile(*args: object, **options: object) -> object:
        pointer = read_pointer(local)
        assert pointer is not None
        set_current(local, THIRD, pointer.version)
        return verify(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(promotion, "verify_release", meanwhile)
    with pytest.raises(RegistryError, match="made another release current meanwhile"):
        promote(local, FIRST)
    assert current_release_id(local) == THIRD


def test_only_complete_releases_are_promoted(local: Storage, add_release: AddRelease) -> None:
    add_release(local, FIRST)
    local.write(f"releases/{SECOND}/{EMBEDDER_ONNX}", b"so far")
    for release_id in (SECOND, "../../etc"):
        with pytest.raises(RegistryError, match=f"expected a complete release .*; found {FIRST}"):
            promote(local, release_id)
