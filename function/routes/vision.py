"""POST /v1/images:annotate     up to 16 searches at once, as clients of Google's Vision ask"""

import time

from flask import Response
from werkzeug.routing import Rule

from ..body import read_json
from ..envelope import Exchange, json_response
from ..errors import BadRequest, FunctionError
from ..vision import error_answer, item_answer, parse_batch, parse_item
from .context import Context, route
from .finding import Finder


class VisionRoutes:
    """Searches in Vision's words."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._finder = Finder(context)

    def rules(self) -> list[Rule]:
        """Return what is answered here."""
        return [route("POST", "/v1/images:annotate", self._annotate)]

    def _annotate(self, exchange: Exchange) -> Response:
        """Search for one image after the other, each in its turn.

        What is wrong with an image is told in its place; that nothing can be searched for now, as
        where the queue is full, is the answer to all.
        """
        exchange.cold_start = not self._context.worker.is_ready
        self._context.admission.check()
        with exchange.stopwatch.stage("parse"):
            batch = parse_batch(read_json(exchange.request, "application/json"))
        deadline = time.monotonic() + self._context.settings.deadline_seconds
        service = self._context.worker.get()
        answers = []
        is_admitted = False
        for value in batch.items:
            try:
                with exchange.stopwatch.stage("parse"):
                    item = parse_item(value, batch.parent)
                answer = self._finder.answer(
                    exchange, service, item.search, deadline, is_admitted=is_admitted
                )
            except FunctionError as error:
                if error.status != BadRequest.status:
                    raise
                answers.append(error_answer(error))
                continue
            is_admitted = True
            answers.append(item_answer(item, answer["productSearchResults"]))
        return json_response({"responses": answers})
