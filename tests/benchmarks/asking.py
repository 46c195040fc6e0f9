"""What else a request can ask, beside a search: facets, similar products, pages of the catalogue.

    python -m tests.benchmarks.asking

The shop's release, with its products' labels replaced: twenty keys, each product one value of
each, of 2 to 3,000 values. Each figure is the median beside a search by photo in the same turns.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from function.browse import browse
from function.embedder import open_embedder
from function.file_catalog import FileCatalog, open_catalog, write_catalog
from function.file_index import FileIndex
from function.filters import EVERYTHING, Label, Selection
from function.index import open_index
from function.manifest import CATALOG, INDEX, MANIFEST
from function.manifest_file import parse_manifest
from function.search import SearchEngine
from tests.benchmarks.shop import shop_root
from tests.benchmarks.timing import Row, report, time_calls

VALUES = (2, 10, 50, 300, 3000)
KEYS = tuple(f"key {number}" for number in range(20))
THRESHOLD = 0.1


def labelled(catalog: FileCatalog, path: Path) -> FileCatalog:
    """The same products and photos with labels drawn by seed."""
    random = np.random.default_rng(0)
    listed = catalog.products(range(catalog.counts.products))
    values = [random.integers(0, VALUES[n % len(VALUES)], len(listed)) for n in range(len(KEYS))]
    products = [
        replace(
            product,
            labels=tuple(
                (key, f"value {of_key[n]}") for key, of_key in zip(KEYS, values, strict=True)
            ),
        )
        for n, (product, _) in enumerate(listed)
    ]
    write_catalog(path, products, catalog.images(range(catalog.counts.images)))
    return open_catalog(path)


def main() -> None:
    """Print and write what each takes."""
    release = next((shop_root() / "releases").iterdir())
    manifest = parse_manifest((release / MANIFEST).read_bytes())
    embedder = open_embedder(release, "openvino", precision="float")
    index = open_index(release / INDEX, manifest.index.kind)
    with tempfile.TemporaryDirectory() as folder:
        catalog = labelled(open_catalog(release / CATALOG), Path(folder) / CATALOG)
        engine = SearchEngine(embedder, FileIndex(index, catalog), catalog, manifest)
        side = engine.image_size
        pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
        tenth = Selection(Label(KEYS[1], "value 3"))
        ((product, _),) = catalog.products([77])
        search = partial(engine.search, pixels)
        asked: dict[str, Callable[[], object]] = {
            "4 facets of all products": partial(catalog.facets, KEYS[:4], EVERYTHING),
            "20 facets of all products": partial(catalog.facets, KEYS, EVERYTHING),
            "4 facets of a tenth": partial(catalog.facets, KEYS[:4], tenth),
            "20 facets of a tenth": partial(catalog.facets, KEYS, tenth),
            "search above a threshold, 4 facets": partial(
                search, score_threshold=THRESHOLD, facets=KEYS[:4]
            ),
            "similar to a product": partial(engine.search, product.id),
            "browse, a page of 10": partial(browse, catalog, ""),
            "browse, a page of 100 of a tenth, 4 facets": partial(
                browse, catalog, "", 100, selection=tenth, facets=KEYS[:4]
            ),
        }
        timings = time_calls(search, *asked.values())
    rows: list[Row] = [
        {
            "asked": name,
            "ms": round(timing.p50, 3),
            "× a search": round(timing.p50 / timings[0].p50, 3),
        }
        for name, timing in zip(("search", *asked), timings, strict=True)
    ]
    report("asking", f"{catalog.counts.products:,} products, {index.rows:,} photos; p50", rows)


if __name__ == "__main__":
    main()
