"""The rules for bodies and queries as guards of Litestar, which alone takes JSON under any content type, or none."""

from typing import Any, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard

from detent.service.http.bodies import why_not_ascii, why_not_json, why_not_well_formed
from detent.service.http.errors import TurnedAway
from detent_litestar.errors import turned_away


def json_body(*, required: bool) -> Guard:
    """A guard that lets only requests with a well-formed JSON body pass; 415 and 400 otherwise.

    It stands on the handlers, behind the guards of the router, so that only who may use a route gets its body read.
    """

    async def check(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        request = cast("Request[Any, Any, Any]", connection)
        _raise(why_not_json(request.headers.get("content-type", "")))
        _raise(why_not_well_formed(await request.body(), required=required))

    return check


def ascii_query(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard that lets only requests pass whose query is spelled in ASCII, as URLs are; 400 otherwise."""
    _raise(why_not_ascii(connection.scope["query_string"]))


def _raise(why: TurnedAway | None) -> None:
    if why is not None:
        raise turned_away(why)
