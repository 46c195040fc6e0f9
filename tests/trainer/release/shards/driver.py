"""Embeds a catalogue on a Ray cluster, as a publisher's process does; tells the outcome as JSON.

    python -m tests.trainer.release.shards.driver RELEASE CATALOG ROOT (skip|fail) [WORKERS]

RELEASE is the folder of one, for its program. The cluster is RAY_ADDRESS's.
"""

import hashlib
import json
import sys
from pathlib import Path

from function.embedder import open_embedder
from function.release import read_manifest
from function.storage import open_storage
from trainer.data.catalog import open_catalog
from trainer.errors import LookalikeError
from trainer.release.shards.catalog import CatalogEmbedder
from trainer.release.shards.cluster import Cluster
from trainer.release.shards.planning import OpenProgram

ROWS = 16
"""Photos of a shard."""


def opened_program(release: Path) -> OpenProgram:
    """The program of a release on the local disk."""
    manifest = read_manifest(open_storage(release.parents[1]), release.name)
    return OpenProgram(release, manifest.model, open_embedder(release, "openvino"))


def main() -> None:
    release, catalog, root, bad, *workers = sys.argv[1:]
    cluster = Cluster(workers=int(workers[0]) if workers else None)
    embedder = CatalogEmbedder(
        open_storage(root),
        cluster=cluster,
        on_bad_photo="fail" if bad == "fail" else "skip",
        rows_per_shard=ROWS,
    )
    try:
        found = embedder.embed(open_catalog(catalog), opened_program(Path(release)))
    except LookalikeError as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error
    told = {
        "photos": [photo.image for photo in found.catalog.photos],
        "bad": [[photo.image, reason] for photo, reason in found.bad],
        "vectors": hashlib.sha256(found.embedded.vectors.tobytes()).hexdigest(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
