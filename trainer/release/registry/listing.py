"""Releases at a glance: what each holds, and how good it was measured to be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from function.manifest import Manifest
from function.release import read_pointer
from function.storage import Storage
from trainer.release.registry.inventory import read_manifests, stored_releases

State = Literal["complete", "unfinished", "damaged"]

# Whose recall stands for an evaluation: that of customers' photos, where there were any.
TASKS = ("query_to_catalog", "leave_one_out")


@dataclass(frozen=True)
class Listed:
    """One release.

    Attributes:
        release_id: its name.
        state: "complete"; "unfinished": without a manifest, as a publisher leaves it that works
            still, or was cut off; "damaged": with one that cannot be read.
        current: whether functions serve it.
        previous: whether a rollback would lead to it.
        problem: what is wrong with a damaged one; else "".
        created: UTC; "" where there is no manifest, and so all below.
        base: the release that it is an update of; "" where it was published in full.
        model: id of its network.
        architecture: of its network.
        products, images: how many.
        index: "exact" or "scann".
        recall_at_10: of the index, beside exact search.
        recall_at_1: of the network, on products that it never saw; None where none were measured.
        task: what `recall_at_1` is of: "query_to_catalog" or "leave_one_out".
        size: of all its files, in bytes, without the photos that it shares.
    """

    release_id: str
    state: State
    current: bool
    previous: bool
    problem: str = ""
    created: str = ""
    base: str = ""
    model: str = ""
    architecture: str = ""
    products: int = 0
    images: int = 0
    index: str = ""
    recall_at_10: float = 0.0
    recall_at_1: float | None = None
    task: str = ""
    size: int = 0


def list_all(storage: Storage) -> list[Listed]:
    """Describe everything below releases/, newest first."""
    pointer = read_pointer(storage)
    current = pointer.release_id if pointer else None
    before = pointer.previous[0] if pointer and pointer.previous else None
    stored = stored_releases(storage)
    manifests = read_manifests(storage, [each.release_id for each in stored if each.complete])
    listed = []
    for each in reversed(stored):
        found = manifests.get(each.release_id)
        here, last = each.release_id == current, each.release_id == before
        if found is None:
            listed.append(Listed(each.release_id, "unfinished", here, last))
        elif isinstance(found, Manifest):
            listed.append(Listed(each.release_id, "complete", here, last, **_described(found)))
        else:
            listed.append(Listed(each.release_id, "damaged", here, last, problem=found.message))
    return listed


def _described(manifest: Manifest) -> dict[str, Any]:
    task, recall = headline(manifest.evaluation)
    return {
        "created": manifest.created,
        "base": manifest.base,
        "model": manifest.model.model_id,
        "architecture": manifest.model.architecture,
        "products": manifest.counts.products,
        "images": manifest.counts.images,
        "index": manifest.index.kind,
        "recall_at_10": manifest.index.recall_at_10,
        "recall_at_1": recall,
        "task": task,
        "size": sum(info.size for info in manifest.files.values()),
    }


def headline(evaluation: Mapping[str, Any]) -> tuple[str, float | None]:
    """Return the task and the R@1 that stand for an evaluation; "" and None where there is none."""
    for task in TASKS:
        figures = evaluation.get(task)
        if isinstance(figures, dict) and isinstance(figures.get("recall_at_1"), int | float):
            return task, float(figures["recall_at_1"])
    return "", None
