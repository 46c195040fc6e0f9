"""What a worker loads: the current release's engine, and the root that it came from."""

from dataclasses import dataclass

from .errors import ReleaseError
from .loading import load_search_engine
from .metrics import Metrics
from .search import SearchEngine
from .settings import Settings, variable
from .storage import Storage, open_storage
from .telemetry import Stopwatch, log


@dataclass(frozen=True)
class Service:
    """A loaded release.

    Attributes:
        engine: answers queries; it has answered one already.
        storage: the root, for stored photos.
    """

    engine: SearchEngine
    storage: Storage


def load_service(settings: Settings, metrics: Metrics) -> Service:
    """Fetch, verify and try the current release; log and count how long that took.

    Raises:
        ReleaseError: there is none, or none that can be served.
        StorageError: the root cannot be read.
    """
    if not settings.root:
        raise ReleaseError(
            f"{variable('root')} is not set: expected a folder or gs://bucket/prefix."
        )
    storage = open_storage(settings.root)
    stopwatch = Stopwatch()
    engine = load_search_engine(
        storage, engine=settings.engine, cache_dir=settings.cache_dir, stopwatch=stopwatch
    )
    metrics.observe_release(engine.manifest, stopwatch.timings_ms)
    log(
        "INFO",
        f"Release {engine.manifest.release_id} is loaded; its stages overlap.",
        seconds=round(stopwatch.elapsed_seconds, 3),
        timingsMs=stopwatch.timings_ms,
    )
    return Service(engine, storage)
