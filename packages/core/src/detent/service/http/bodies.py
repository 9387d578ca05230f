"""What a request must be before anything reads it: JSON that says that it is JSON, behind an address in ASCII.

A form on a foreign page can send `text/plain` with the user's cookies and without asking first, and it cannot send
`application/json`. So the type is required even where the body is empty. What parsers answer with a 500 (invalid UTF-8, deep
nesting, bytes in a query that ought to be escaped) is turned away here as well. Each function says why, or `None`.
"""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from detent.service.http.errors import TurnedAway, invalid

M = TypeVar("M", bound=BaseModel)

JSON = "application/json"

ONE_MEBIBYTE = 1024 * 1024
"""How many bytes a body may have unless an application says otherwise."""


def why_not_json(content_type: str) -> TurnedAway | None:
    """Why a body under this `Content-Type`, parameters and all, is not taken."""
    if content_type.partition(";")[0].strip().lower() == JSON:
        return None
    return TurnedAway(415, f"send the body as {JSON}", {"Accept-Post": JSON})


def why_not_well_formed(body: bytes, *, required: bool) -> TurnedAway | None:
    """Why the body is not taken: it is no JSON; it may be empty unless it is `required`."""
    if not body and not required:
        return None
    try:
        from_json(body, cache_strings="none")
    except ValueError as error:
        return TurnedAway(400, f"the body is not well-formed JSON: {error}")
    return None


def read_body(model: type[M], body: bytes) -> M | TurnedAway:
    """The body as `model` reads it, or why not; an empty one, where it is let through, is a model of defaults."""
    try:
        return model.model_validate(from_json(body, cache_strings="none") if body else {})
    except ValidationError as error:
        return invalid([(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()])


def why_too_large(stated: str | None, read: int, limit: int) -> TurnedAway | None:
    """Why a body of so many bytes, as far as it was `read` and as its `Content-Length` has `stated`, is not taken."""
    long = stated is not None and stated.isascii() and stated.isdigit() and (len(stated) > 18 or int(stated) > limit)
    return TurnedAway(413, "Request Entity Too Large") if long or read > limit else None


def why_not_ascii(query: bytes) -> TurnedAway | None:
    """Why the query of a URL is not taken: it is not spelled in ASCII, as URLs are."""
    return None if query.isascii() else TurnedAway(400, "the query of the URL has bytes that are not escaped")
