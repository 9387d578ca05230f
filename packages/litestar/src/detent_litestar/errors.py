"""Errors as answers of Litestar. What is told of each is in `detent.service.http`."""

import logging
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from detent.errors import DetentError
from detent.service.http.errors import TurnedAway, answer_to_turned_away, invalid
from detent.service.http.errors import answer_to_error as problem_of
from detent.service.http.headers import IF_MATCH, KEY, LAST_EVENT_ID
from detent.service.http.meanings import meaning_of
from detent.service.http.problems import PROBLEM_JSON, ProblemAnswer
from detent_litestar.headers import was_replayed

_SENT = {"idempotency_key": KEY, "if_match": IF_MATCH, "last_event_id": LAST_EVENT_ID}
"""What parameters that Litestar calls by their names in Python are called where they were sent."""

logger = logging.getLogger("detent.litestar")


def answer_to_error(request: Request[Any, Any, Any], error: DetentError) -> Response[bytes]:
    """The answer to a request that ended in `error`. Faults of ours are logged, because their words are not sent."""
    if meaning_of(error).detail is not None:
        logger.error("%s %s ended in %s", request.method, request.url.path, error.code, exc_info=error)
    return as_response(problem_of(error, replayed=was_replayed(request)))


def answer_to_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """The answer to a request that Litestar or a guard turned away, in the same form as to errors of ours."""
    places = _places(error)
    why = invalid(places) if places else TurnedAway(error.status_code, error.detail, error.headers or {})
    return as_response(answer_to_turned_away(why))


def as_response(told: ProblemAnswer) -> Response[bytes]:
    """The problem as Litestar sends it."""
    return Response(told.content, status_code=told.status, media_type=PROBLEM_JSON, headers=dict(told.headers))


def turned_away(why: TurnedAway) -> HTTPException:
    """The exception by which Litestar turns a request away."""
    return HTTPException(status_code=why.status, detail=why.detail, headers=dict(why.headers))


def _places(error: HTTPException) -> list[tuple[str, str]]:
    """Which parameters or fields Litestar found invalid."""
    if not isinstance(error, ValidationException) or not isinstance(error.extra, list):
        return []
    return [(_SENT.get(place.get("key", ""), place.get("key", "")), place.get("message", "")) for place in error.extra]
