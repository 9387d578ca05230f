"""What OpenAPI tells of operations beyond what FastAPI sees in their signatures.

Schemas of bodies and problems stand where they are used: FastAPI names only those in its components that it reads and writes
itself, and it neither reads our bodies, which come behind the guards, nor writes problems under their media type.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from detent.json_values import JsonObject
from detent.service.http.bodies import JSON
from detent.service.http.headers import TOLD
from detent.service.http.operation import Operation
from detent.service.http.operations import ERRORS
from detent.service.http.problems import PROBLEM_JSON
from detent.service.schemas import ProblemDetails

Responses: TypeAlias = dict[int | str, dict[str, Any]]
"""As `responses=` of a route wants them."""

_PROBLEM = {PROBLEM_JSON: {"schema": ProblemDetails.model_json_schema()}}


def responses(operation: Operation, *, guarded: bool) -> Responses:
    """What an operation answers; `guarded` where it turns people away."""
    headers = {name: {"description": TOLD[name], "schema": {"type": "string"}} for name in operation.headers}
    usual: dict[str, Any] = {"headers": headers} if headers else {}
    if operation.is_text:
        usual["content"] = {media_type: {"schema": operation.text_schema} for media_type in operation.media_types}
    further: Responses = {
        status: {"description": answer.description} | ({} if answer.view is None else {"model": answer.view})
        for status, answer in operation.further.items()
    }
    statuses = sorted({*operation.errors, *((401, 403) if guarded else ())})
    told: Responses = {operation.status: usual}
    return told | further | problems(statuses, ERRORS)


def problems(statuses: Iterable[int], words: Mapping[int, str]) -> Responses:
    """Errors of these statuses, described with `words`, and that all others look alike."""
    told: Responses = {status: {"description": words[status], "content": _PROBLEM} for status in statuses}
    # Without it FastAPI tells of a 422 of its own.
    return told | {"default": {"description": "Any other error.", "content": _PROBLEM}}


def request_body(schema: JsonObject, *, required: bool) -> dict[str, Any]:
    """The body of an operation, as `openapi_extra=` wants it."""
    return {"requestBody": {"content": {JSON: {"schema": schema}}, "required": required}}
