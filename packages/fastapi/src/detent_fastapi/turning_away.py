"""Requests that get no further than our routes' door, answered as problems there, whatever the application does elsewhere."""

from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.requests import HTTPConnection
from fastapi.routing import APIRoute, APIWebSocketRoute
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.exceptions import HTTPException as AnyHTTPException

from detent.service.http.bodies import read_body, why_not_ascii, why_not_json, why_not_well_formed, why_too_large
from detent.service.http.errors import NotTaken, TurnedAway, answer_to_turned_away, invalid
from detent.service.http.policy import TenantOf
from detent_fastapi.answers import as_response

M = TypeVar("M", bound=BaseModel)

_BODY = "detent_body"
FOLLOW = ":follow_changes"
"""How the name of the websocket ends."""


class ContractRoute(APIRoute):
    """A route whose guards, parameters and bodies answer with problems, and not with FastAPI's own 422."""

    action = ""
    """What it does; see `workflow_action`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except NotTaken as error:
                why = error.why
            except AnyHTTPException as error:
                detail: Any = error.detail
                told = detail if isinstance(detail, str) else to_json(detail).decode()
                why = TurnedAway(error.status_code, told, error.headers or {})
            except RequestValidationError as error:
                why = invalid([(".".join(map(str, fault["loc"][1:])), fault["msg"]) for fault in error.errors()])
            return as_response(answer_to_turned_away(why))

        return answered


@cache
def route_for(action: str) -> type[ContractRoute]:
    """The class of a route that does `action`; what a route is an object of survives that it is included elsewhere."""
    return type("ContractRoute", (ContractRoute,), {"action": action})


async def workflow_action(connection: HTTPConnection) -> str:
    """What a guard is asked to allow: `read`, `start`, `event` or `operate`, of webhooks `webhook` or `webhook_info`.

    It is empty on routes that are not ours.
    """
    route = connection.scope.get("route")
    if isinstance(route, APIWebSocketRoute):
        return "read" if (route.name or "").endswith(FOLLOW) else ""
    return route.action if isinstance(route, ContractRoute) else ""


async def ascii_query(request: Request) -> None:
    """Lets only requests pass whose query is spelled in ASCII, as URLs are; 400 otherwise."""
    check(why_not_ascii(request.scope["query_string"]))


def json_body(limit: int, *, required: bool) -> Callable[[Request], Awaitable[None]]:
    """A dependency that lets only requests with well-formed JSON of at most `limit` bytes pass; 415, 413 and 400 otherwise.

    It stands behind the guards, so that only who may use a route gets its body read: FastAPI alone would read it first. For
    whom it let pass, `json_in` reads it.
    """

    async def read(request: Request) -> None:
        check(why_not_json(request.headers.get("content-type", "")))
        body = await body_within(request, limit)
        check(why_not_well_formed(body, required=required))
        setattr(request.state, _BODY, body)

    return read


def json_in(request: Request, model: type[M]) -> M:
    """The body that `json_body` let pass, as `model` reads it; 400 where it does not."""
    found = read_body(model, getattr(request.state, _BODY))
    if isinstance(found, TurnedAway):
        raise NotTaken(found)
    return found


async def body_within(request: Request, limit: int) -> bytes:
    """The body; one of more than `limit` bytes is a 413, and is read no further than that."""
    stated, chunks, read = request.headers.get("content-length"), list[bytes](), 0
    check(why_too_large(stated, read, limit))
    async for chunk in request.stream():
        read += len(chunk)
        check(why_too_large(None, read, limit))
        chunks.append(chunk)
    return b"".join(chunks)


def tenant_of(connection: HTTPConnection, said_by: TenantOf[Any]) -> str:
    """The tenant of a request; one of none is turned away with a 403."""
    tenant = said_by(connection)
    if tenant is None:
        raise NotTaken(TurnedAway(403, "the request belongs to no tenant"))
    return tenant


def check(why: TurnedAway | None) -> None:
    """Turn the request away if there is a reason to."""
    if why is not None:
        raise NotTaken(why)
