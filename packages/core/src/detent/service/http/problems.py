"""An error as RFC 9457 describes it, as a value that any web framework can send."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic_core import to_json

from detent.json_values import JsonObject, JsonValue

PROBLEM_JSON = "application/problem+json"
"""The media type of RFC 9457."""


@dataclass(frozen=True, slots=True)
class ProblemAnswer:
    """An answer of the media type `PROBLEM_JSON`."""

    status: int
    """The status of HTTP, which the body repeats."""
    body: JsonObject
    """The members of RFC 9457, `code` for machines, and the error's data beside them."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers of the answer."""

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        return to_json(self.body)


def problem(
    status: int,
    *,
    code: str,
    title: str,
    detail: str,
    hint: str | None = None,
    data: Mapping[str, JsonValue] | None = None,
    headers: Mapping[str, str] | None = None,
) -> ProblemAnswer:
    """An answer in the form of RFC 9457, with `code` for machines and the error's data beside it."""
    said = {"type": f"urn:detent:problem:{code}", "title": title, "status": status, "detail": detail, "code": code}
    body = said | ({"hint": hint} if hint else {}) | dict(data or {})
    return ProblemAnswer(status, body, dict(headers or {}))
