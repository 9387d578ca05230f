"""Errors of Detent as answers of FastAPI. What is told of each is in `detent.service.http`."""

import logging

from fastapi import Request, Response
from fastapi.requests import HTTPConnection

from detent.errors import DetentError
from detent.service.http.errors import answer_to_error as problem_of
from detent.service.http.meanings import meaning_of
from detent_fastapi.answers import as_response

logger = logging.getLogger("detent.fastapi")

_STATE = "detent_replayed"


async def answer_to_error(request: Request, error: Exception) -> Response:
    """The answer to a request that ended in `error`. Faults of ours are logged, because their words are not sent."""
    if not isinstance(error, DetentError):
        raise error
    if meaning_of(error).detail is not None:
        logger.error("%s %s ended in %s", request.method, request.url.path, error.code, exc_info=error)
    return as_response(problem_of(error, replayed=getattr(request.state, _STATE, False)))


def note_replay(connection: HTTPConnection) -> None:
    """Keep with the request that its answer was given before, so that an error, too, is answered with the header."""
    setattr(connection.state, _STATE, True)
