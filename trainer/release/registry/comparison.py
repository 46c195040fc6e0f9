"""Two releases side by side: network, catalogue, figures, sizes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from function.catalog import Product
from function.file_catalog import FileCatalog
from function.manifest import Manifest
from function.release import read_manifest, read_pointer
from function.storage import Storage
from trainer.errors import RegistryError
from trainer.release.registry.inventory import all_images, release_catalog

# Products that are named of each kind of change.
NAMED_PRODUCTS = 5

# Of an evaluation, what people compare; the rest is how it was measured.
_SCORES = ("recall_at_1", "recall_at_5", "recall_at_10", "recall_at_100", "map_at_r", "r_precision")

type Pairs = Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Changed:
    """Products of one kind of change: how many, and the first few ids."""

    count: int
    first: tuple[str, ...]

    @classmethod
    def of(cls, ids: Sequence[str]) -> "Changed":
        """Count ids and keep the first."""
        return cls(len(ids), tuple(ids[:NAMED_PRODUCTS]))


@dataclass(frozen=True)
class Comparison:
    """What differs from release `a` to release `b`.

    Attributes:
        a, b: ids.
        model, sizes: what each says, (a's, b's) by name. Sizes are megabytes.
        metrics: figures by name; None where one has none.
        added, removed: products that only b, only a has.
        changed: products whose texts, labels, sets or photos differ.
        photos_added, photos_removed: photos that only b, only a has.
    """

    a: str
    b: str
    model: Pairs
    metrics: Pairs
    sizes: Pairs
    added: Changed
    removed: Changed
    changed: Changed
    photos_added: int
    photos_removed: int


def compare(storage: Storage, a: str | None = None, b: str | None = None) -> Comparison:
    """Compare two releases.

    Args:
        storage: the root.
        a: an id; None: the release that was current before the current one.
        b: an id; None: the current one.

    Raises:
        RegistryError: there is no current release, or none before it.
        ReleaseError: a release is not there, or its manifest or catalogue is damaged.
        StorageError: the root cannot be read.
    """
    if a is None or b is None:
        pointer = read_pointer(storage)
        if pointer is None or (a is None and not pointer.previous):
            raise RegistryError(
                f"{storage.url}: expected a current release and one before it; found "
                f"{'the current one alone' if pointer else 'none'}. Name two: "
                f"lookalike releases diff A B --root {storage.url}"
            )
        a = pointer.previous[0] if a is None else a
        b = pointer.release_id if b is None else b
    one, two = read_manifest(storage, a), read_manifest(storage, b)
    with ExitStack() as stack:
        old = _Listing.of(stack.enter_context(release_catalog(storage, one)))
        new = _Listing.of(stack.enter_context(release_catalog(storage, two)))
    return Comparison(
        a,
        b,
        model=_pairs(_model(one), _model(two)),
        metrics=_pairs(dict(_metrics(one)), dict(_metrics(two))),
        sizes=_pairs(_sizes(one), _sizes(two)),
        added=Changed.of([name for name in new.products if name not in old.products]),
        removed=Changed.of([name for name in old.products if name not in new.products]),
        changed=Changed.of(
            [name for name in new.products if name in old.products and old.differs(new, name)]
        ),
        photos_added=(new.all_photos - old.all_photos).total(),
        photos_removed=(old.all_photos - new.all_photos).total(),
    )


@dataclass(frozen=True)
class _Listing:
    products: Mapping[str, Product]
    photos: Mapping[str, Counter[str]]

    @classmethod
    def of(cls, catalog: FileCatalog) -> "_Listing":
        listed = catalog.products(range(catalog.counts.products))
        products = {product.id: product for product, _ in listed}
        photos: dict[str, Counter[str]] = {name: Counter() for name in products}
        for image in all_images(catalog):
            # A stored photo's address tells where its root is public, not what it shows.
            photos[image.product_id][image.sha256 or image.url] += 1
        return cls(products, photos)

    @property
    def all_photos(self) -> Counter[tuple[str, str]]:
        return Counter(
            {
                (name, photo): count
                for name, photos in self.photos.items()
                for photo, count in photos.items()
            }
        )

    def differs(self, other: "_Listing", name: str) -> bool:
        """Say whether a product that both have differs."""
        return (self.products[name], self.photos[name]) != (
            other.products[name],
            other.photos[name],
        )


def _pairs(one: Mapping[str, Any], two: Mapping[str, Any]) -> Pairs:
    return {name: (one.get(name), two.get(name)) for name in dict.fromkeys((*one, *two))}


def _model(manifest: Manifest) -> dict[str, Any]:
    served = manifest.int8 is not None and manifest.int8.chosen
    return {**vars(manifest.model), "precision": "int8" if served else "float"}


def _metrics(manifest: Manifest) -> Iterator[tuple[str, Any]]:
    for task, figures in manifest.evaluation.items():
        if isinstance(figures, dict):
            for score in _SCORES:
                if score in figures:
                    yield f"{task}.{score}", figures[score]
    index = manifest.index
    yield "index.kind", index.kind
    yield "index.recall_at_10", index.recall_at_10
    yield "index.ms", index.chosen.ms
    if (calibration := manifest.calibration) is not None:
        for name in ("expected_calibration_error", "false_match_rate", "false_non_match_rate"):
            yield f"calibration.{name}", getattr(calibration, name)
        yield "calibration.score_threshold", calibration.score_threshold
    if manifest.int8 is not None:
        yield "int8.latency_ratio", manifest.int8.latency_ratio


def _sizes(manifest: Manifest) -> dict[str, Any]:
    parts: Counter[str] = Counter()
    for name, info in manifest.files.items():
        parts[name.partition("/")[0]] += info.size
    sizes: dict[str, Any] = {
        "products": manifest.counts.products,
        "photos": manifest.counts.images,
    }
    sizes |= {f"{part} MB": size / 1e6 for part, size in sorted(parts.items())}
    return sizes | {"all files MB": parts.total() / 1e6}
