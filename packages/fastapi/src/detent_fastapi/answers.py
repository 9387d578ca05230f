"""Answers and problems of the contract as responses."""

from fastapi import Response
from pydantic_core import to_json

from detent.service.http.answers import Answer
from detent.service.http.problems import PROBLEM_JSON, ProblemAnswer


def as_response(answer: Answer | ProblemAnswer) -> Response:
    """The answer as it is sent: JSON as pydantic writes it, or text."""
    if isinstance(answer, ProblemAnswer):
        return Response(answer.content, answer.status, dict(answer.headers), PROBLEM_JSON)
    content = answer.body if isinstance(answer.body, str) else to_json(answer.body)
    return Response(content, answer.status, dict(answer.headers), answer.media_type)
