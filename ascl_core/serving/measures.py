"""Figures for Prometheus, of this process alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest

from ascl_core.serving.answers import reason
from ascl_core.serving.exchange import Event, Outcome
from ascl_core.serving.splitting import Piece
from ascl_core.vocabulary import Mode

if TYPE_CHECKING:
    from ascl_core.serving.service import Service


class Measures:
    """Counts the answers of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._answers = Counter("ascl_answers", "Answers that ended, by their finish reason", ["finish_reason"], registry=registry)
        self._failed = Counter("ascl_failed_answers", "Answers that ended with an error of the server", registry=registry)
        self._consulted = Counter("ascl_consulting_answers", "Answers for which the rules were looked up", registry=registry)
        self._read = Counter("ascl_prompt_tokens", "Tokens that the model read", registry=registry)
        self._written = Counter("ascl_completion_tokens", "Tokens that the model wrote", registry=registry)
        self._waiting = Gauge("ascl_waiting_requests", "Requests in the queue", registry=registry)
        self._served = Gauge("ascl_served_rules", "The rules that are served, by the digest of their corpus", ["corpus"], registry=registry)

    def count(self, event: Event) -> None:
        """Count an event of an answer."""
        if isinstance(event, Outcome):
            self._answers.labels(reason(event)).inc()
            self._consulted.inc(event.facts.mode is Mode.CONSULT)
            self._read.inc(event.prompt_tokens)
            self._written.inc(event.completion_tokens)
        elif not isinstance(event, Piece):
            self._failed.inc()

    def response(self, service: Service) -> Response:
        """Return the figures in Prometheus' text format."""
        self._waiting.set(len(service.engine.waiting))
        self._served.clear()
        self._served.labels(service.corpora.current.digest).set(len(service.corpora.current.corpus.rules))
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
