"""What a worker holds: the current release's engine, and how another takes its place.

The pointer is looked at while requests are answered. What it names is loaded and tried beside the
engine that serves, whose own program and index go on where the other's are the same. A release that
cannot be served is refused, once: it is tried again only when the pointer was written anew.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from .admission import Admission
from .errors import ReleaseError, ReleaseFault
from .loading import drop_other_files, load_release, load_search_engine, no_release
from .memory import return_freed_memory
from .metrics import Metrics
from .pacing import Pacing
from .postgres.connection import Database
from .processor import stand_back
from .proposing import Proposers
from .release import read_pointer
from .search import SearchEngine
from .settings import Settings, variable
from .storage import Storage, Version, open_storage
from .telemetry import Stopwatch, log

# Of the database, beside those of the searches that compute: for pages of the catalogue.
SPARE_CONNECTIONS = 2


@dataclass(frozen=True)
class Refusal:
    """A release that the pointer names, and that is not served.

    Attributes:
        release_id: which; "" where the pointer names none.
        fault: what is wrong; the log says more.
        time: when that was found, UTC, as `2026-11-20T09:00:00Z`.
        version: of the pointer; None where it names none.
    """

    release_id: str
    fault: ReleaseFault
    time: str
    version: Version | None


@dataclass(frozen=True)
class Service:
    """A loaded release. A request holds one from its start to its end, whatever comes after it.

    Attributes:
        engine: answers queries; it has answered one already.
        storage: the root, for stored photos.
        refusal: what the pointer names instead, where that is not served.
    """

    engine: SearchEngine
    storage: Storage
    refusal: Refusal | None = None

    @property
    def release_id(self) -> str:
        """Of the release that serves."""
        return self.engine.manifest.release_id


class Services:
    """Loads what the pointer names, counts how that ended, and cleans up after it.

    Args:
        settings: where the root is, what runs the network, and where files are kept.
        metrics: told what is served, and of each release that was tried.
        admission: of the searches, between which a successor is loaded.
        proposers: open what indices need.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, admission: Admission, proposers: Proposers
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._admission = admission
        self._proposers = proposers
        # Linux wakes who waits for a decoder on the decoder's processor, and who waits for a client
        # on the client's. Were it to infer there, it would often share that processor with the
        # network's second thread for milliseconds while another one rests: a thread that does
        # nothing but infer keeps to its place. It starts with the first inference, of the first
        # release's golden photos, and so is not nice. One at a time keeps two processors busy, all
        # that there were to measure with.
        self._inferring = ThreadPoolExecutor(1, thread_name_prefix="infer")
        # It connects when a release needs it, in the worker.
        self._database = (
            Database(settings.database, settings.running_searches + SPARE_CONNECTIONS)
            if settings.database
            else None
        )

    def first(self) -> Service:
        """Fetch, verify and try the current release.

        Raises:
            ReleaseError: there is none, or none that can be served.
            StorageError: the root cannot be read.
        """
        settings = self._settings
        if not settings.root:
            raise ReleaseError(
                f"{variable('root')} is not set: expected a folder or gs://bucket/prefix.",
                fault="POINTER_MISSING",
            )
        stopwatch = Stopwatch()
        try:
            storage = open_storage(settings.root)
            engine = load_search_engine(
                storage,
                engine=settings.engine,
                cache_dir=settings.cache_dir,
                database=self._database,
                open_proposer=self._proposers.open,
                inferring=self._inferring,
                stopwatch=stopwatch,
            )
        except ReleaseError:
            self._metrics.observe_refusal()
            raise
        except Exception:
            self._metrics.observe_failed_load()
            raise
        return_freed_memory()
        return self._loaded(Service(engine, storage), stopwatch)

    def next(self, held: Service) -> Service:
        """Return what is to serve from now on: what is held, where the pointer names nothing new.

        A release that cannot be served is told by the `refusal` of what is returned.

        Raises:
            StorageError: the root cannot be read.
        """
        release_id, version = "", None
        try:
            pointer = read_pointer(held.storage)
            if pointer is None:
                raise no_release(held.storage)
            release_id, version = pointer.release_id, pointer.version
            if release_id == held.release_id:
                return self._unrefused(held)
            if held.refusal and (held.refusal.release_id, held.refusal.version) == pointer[:2]:
                return held
            return self._beside(held, release_id)
        except ReleaseError as error:
            # Its traceback holds all that was loaded and is held, and a file's check holds it.
            error.with_traceback(None)
            return self._refused(held, release_id, version, error)
        except Exception:
            self._metrics.observe_failed_load()
            raise

    def settle(self, held: Service) -> None:
        """Give back what others than the service that is held have left: files and memory."""
        drop_other_files(held.storage, self._settings.cache_dir, held.engine)
        return_freed_memory()

    def _beside(self, held: Service, release_id: str) -> Service:
        settings = self._settings
        stopwatch = Stopwatch()
        engine = load_release(
            held.storage,
            release_id,
            engine=settings.engine,
            cache_dir=settings.cache_dir,
            database=self._database,
            held=held.engine,
            open_proposer=partial(self._proposers.open, stands_back=True),
            inferring=self._inferring,
            pacing=Pacing(
                begin_thread=stand_back,
                pause=self._admission.wait_until_idle,
                side_by_side=False,
            ),
            stopwatch=stopwatch,
        )
        return self._loaded(Service(engine, held.storage), stopwatch)

    def _loaded(self, service: Service, stopwatch: Stopwatch) -> Service:
        self._metrics.observe_release(service.engine.manifest, stopwatch.timings_ms)
        log(
            "INFO",
            f"Release {service.release_id} is loaded; its stages overlap.",
            seconds=round(stopwatch.elapsed_seconds, 3),
            timingsMs=stopwatch.timings_ms,
        )
        return service

    def _unrefused(self, held: Service) -> Service:
        if held.refusal is None:
            return held
        self._metrics.clear_refusal()
        log("INFO", f"The pointer names release {held.release_id} again, which serves.")
        return replace(held, refusal=None)

    def _refused(
        self, held: Service, release_id: str, version: Version | None, error: ReleaseError
    ) -> Service:
        before = held.refusal
        if before and (before.release_id, before.version, before.fault) == (
            release_id,
            version,
            error.fault,
        ):
            return held
        self._metrics.observe_refusal()
        log(
            "ERROR",
            f"Release {held.release_id} serves on, for its successor is refused: {error.message}",
            reason=error.reason,
            fault=error.fault,
            refusedRelease=release_id or None,
        )
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return replace(held, refusal=Refusal(release_id, error.fault, now, version))
