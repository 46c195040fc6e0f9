"""What the function counts, in Prometheus' text format at /metrics.

They tell how busy the function is and how often each access key was used, by the name that the
operator gave it, and nothing about photos or products. The platform's front end passes the route on
like any other; keys or a setting close it. With several workers each counts for itself.
"""

from collections.abc import Mapping

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

from .admission import Admission
from .manifest import Manifest

CONTENT_TYPE = CONTENT_TYPE_LATEST

# From one small stage to what no caller waits for.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Counters of one process. Safe for threads.

    Args:
        admission: whose places and queue are shown.
    """

    def __init__(self, admission: Admission) -> None:
        self._registry = CollectorRegistry()
        # It reads /proc when asked and starts no thread: it may be made before a fork.
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "lookalike_requests",
            "Requests answered, by route, status and an error's reason.",
            ("route", "status", "reason"),
            registry=self._registry,
        )
        self._keys = Counter(
            "lookalike_key_requests",
            "Requests that brought an access key, by its name.",
            ("key",),
            registry=self._registry,
        )
        self._events = Counter(
            "lookalike_events",
            "What was told of results, by type.",
            ("type",),
            registry=self._registry,
        )
        self._latency = Histogram(
            "lookalike_request_seconds",
            "From a request's arrival to its answer, by route.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._stages = Histogram(
            "lookalike_stage_seconds",
            "Of each stage of the requests.",
            ("stage",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._loading = Gauge(
            "lookalike_loading_seconds",
            "Of each stage of loading the release; stages overlap.",
            ("stage",),
            registry=self._registry,
        )
        self._release = Info(
            "lookalike_release", "The release that is served.", registry=self._registry
        )
        self._loads = Counter(
            "lookalike_release_loads",
            "Releases that were tried, by outcome: loaded; refused, as they cannot be served; or "
            "failed, as the storage could not be read.",
            ("outcome",),
            registry=self._registry,
        )
        for outcome in ("loaded", "refused", "failed"):
            self._loads.labels(outcome)
        self._refused = Gauge(
            "lookalike_release_refused",
            "1 while the pointer names a release that is not served, as it cannot be; else 0.",
            registry=self._registry,
        )
        for name, help_line, read in (
            ("running", "Searches that compute.", lambda: admission.running),
            ("waiting", "Searches that wait for a place.", lambda: admission.waiting),
        ):
            gauge = Gauge(f"lookalike_searches_{name}", help_line, registry=self._registry)
            gauge.set_function(read)

    def observe_request(
        self,
        route: str,
        status: int,
        reason: str,
        seconds: float,
        timings_ms: Mapping[str, float],
        key_name: str = "",
    ) -> None:
        """Count one answer.

        Args:
            route: its pattern, as `/v1/products/{id}`: never a caller's own text.
            status: of the answer.
            reason: the error's; "" where there was none.
            seconds: from arrival to answer.
            timings_ms: of its stages.
            key_name: of the operator's access key that it brought; "" for none.
        """
        self._requests.labels(route, str(status), reason).inc()
        self._latency.labels(route).observe(seconds)
        for stage, spent in timings_ms.items():
            self._stages.labels(stage).observe(spent / 1e3)
        if key_name:
            self._keys.labels(key_name).inc()

    def observe_event(self, kind: str) -> None:
        """Count one event, of a type that is known."""
        self._events.labels(kind).inc()

    def observe_release(self, manifest: Manifest, timings_ms: Mapping[str, float]) -> None:
        """Say what is served from now on, and how long its loading took."""
        self._release.info(
            {
                "release": manifest.release_id,
                "model": manifest.model.model_id,
                "index": manifest.index.index_id,
            }
        )
        self._loading.clear()
        for stage, spent in timings_ms.items():
            self._loading.labels(stage).set(spent / 1e3)
        self._loads.labels("loaded").inc()
        self._refused.set(0)

    def observe_refusal(self) -> None:
        """Count a release that cannot be served; it is what the pointer names from now on."""
        self._loads.labels("refused").inc()
        self._refused.set(1)

    def clear_refusal(self) -> None:
        """Say that the pointer names what is served again."""
        self._refused.set(0)

    def observe_failed_load(self) -> None:
        """Count a release that could not be read, or a pointer."""
        self._loads.labels("failed").inc()

    def text(self) -> bytes:
        """Return all of them."""
        return generate_latest(self._registry)
