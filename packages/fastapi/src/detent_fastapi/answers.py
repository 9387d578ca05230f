"""Answers and problems of the contract as responses."""

from typing import Any

from fastapi import Response
from fastapi.responses import StreamingResponse
from pydantic_core import to_json

from detent.service.http.answers import Answer
from detent.service.http.changes import EventStream
from detent.service.http.problems import PROBLEM_JSON, ProblemAnswer

NO_CONTENT = 204


def as_response(answer: Answer[Any] | ProblemAnswer) -> Response:
    """The answer as it is sent: JSON as pydantic writes it, or text."""
    if isinstance(answer, ProblemAnswer):
        return Response(answer.content, answer.status, dict(answer.headers), PROBLEM_JSON)
    if answer.status == NO_CONTENT:
        return Response(None, NO_CONTENT, dict(answer.headers))
    if isinstance(answer.body, EventStream):
        return StreamingResponse(answer.body.chunks, answer.status, dict(answer.headers), answer.media_type)
    content = answer.body if isinstance(answer.body, str) else to_json(answer.body)
    return Response(content, answer.status, dict(answer.headers), answer.media_type)
