"""The entry point: `functions-framework --source main.py --target lookalike`. It only wires.

The server imports this module before it forks its workers: nothing here may start a thread, and so
nothing may import JAX, OpenVINO, ScaNN or a Google client. Each worker does, after the fork.
"""

import os
from functools import partial

# NumPy's threads wait for their next product by spinning, and take the processors from the network:
# a query took half as long again. Read when NumPy is imported, so it stands before all imports.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from flask import Request, Response, current_app, has_app_context

from .access import Access
from .admission import Admission
from .app import App
from .decoder import decode_photos
from .decoding import DECODER, Decoders
from .draining import drain_at_the_end
from .envelope import Envelope
from .memory import share_arenas
from .metrics import Metrics
from .nursery import Nursery
from .proposer import serve_proposals
from .proposing import PROPOSER, Proposers
from .routes.context import Context
from .service import Services
from .settings import Settings
from .worker import Worker

share_arenas()
drain_at_the_end()
_settings = Settings.from_environment(os.environ)
_admission = Admission(running=_settings.running_searches, waiting=_settings.max_waiting)
_metrics = Metrics(_admission)
_nursery = Nursery(
    {
        DECODER: partial(decode_photos, limits=_settings.photo_limits),
        PROPOSER: serve_proposals,
    }
)
_proposers = Proposers(_nursery, questions=_settings.running_searches)
_services = Services(_settings, _metrics, _admission, _proposers)
_worker = Worker(
    _services.first,
    wait_seconds=_settings.loading_wait_seconds,
    renew=_services.next,
    renew_seconds=_settings.release_check_seconds,
    pause=_admission.wait_until_idle,
    settle=_services.settle,
)
_decoders = Decoders(_settings.photo_limits, _nursery if _settings.decoding == "process" else None)
_envelope = Envelope(
    cors_origins=_settings.cors_origins,
    max_body_bytes=_settings.max_body_bytes,
    metrics=_metrics,
)
_app = App(
    Context(_settings, _worker, _admission, _metrics, _decoders),
    _envelope,
    Access(_settings.api_keys),
)

_worker.start_after_fork(_nursery.start)
if has_app_context():
    # The server answers a few paths itself.
    _envelope.attach(current_app)


def lookalike(request: Request) -> Response:
    """Answer one HTTP request."""
    return _app(request)
