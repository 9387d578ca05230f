"""What a request must be before anything reads it: JSON that says that it is JSON, behind an address in ASCII.

Litestar alone takes JSON under any content type, or none; a form on a foreign page can send `text/plain` with the user's
cookies and without asking first, and it cannot send `application/json`. So the type is required even where the body is
empty. What its parsers answer with a 500 (invalid UTF-8, deep nesting, bytes in a query that ought to be escaped) is turned
away here as well.
"""

from typing import Any, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import ClientException, HTTPException
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard
from pydantic_core import from_json

JSON = "application/json"


def json_body(*, required: bool) -> Guard:
    """A guard that lets only requests with a well-formed JSON body pass; 415 and 400 otherwise.

    It stands on the handlers, behind the guards of the router, so that only who may use a route gets its body read.
    """

    async def check(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        request = cast("Request[Any, Any, Any]", connection)
        if request.content_type[0].lower() != JSON:
            raise HTTPException(status_code=415, detail=f"send the body as {JSON}", headers={"Accept-Post": JSON})
        _check_well_formed(await request.body(), required=required)

    return check


def ascii_query(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard that lets only requests pass whose query is spelled in ASCII, as URLs are; 400 otherwise."""
    if not connection.scope["query_string"].isascii():
        raise ClientException("the query of the URL has bytes that are not escaped")


def _check_well_formed(body: bytes, *, required: bool) -> None:
    if not body and not required:
        return
    try:
        from_json(body, cache_strings="none")
    except ValueError as error:
        raise ClientException(f"the body is not well-formed JSON: {error}") from None
