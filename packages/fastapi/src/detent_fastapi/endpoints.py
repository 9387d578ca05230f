"""Operations of the contract as FastAPI calls them."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.params import Depends as Dependency
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from detent.service.http.ask import Ask
from detent.service.http.operation import Operation
from detent.service.http.parameters import REQUIRED, Parameter, Taken
from detent.service.http.policy import Mount
from detent_fastapi.answers import as_response
from detent_fastapi.openapi import request_body, responses
from detent_fastapi.turning_away import ascii_query, json_body, json_in, route_for

Endpoint: TypeAlias = Callable[..., Awaitable[Response]]
Asking: TypeAlias = Callable[[Request], Awaitable[Ask]]
"""What an operation is told of a request."""

_PLACES = {"path": Path, "query": Query, "header": Header}

# What FastAPI is given here is async throughout: for each plain function it would go to a thread.


def add_operation(router: APIRouter, operation: Operation, mount: Mount[Dependency], ask: Asking) -> None:
    """Mount an operation. Whoever may not use it is turned away before its body is read."""
    prefix, body = mount.operation_id_prefix, operation.body
    shown = None if body is None else operation.body_schema or body.kind.model_json_schema()
    router.add_api_route(
        # Names of events may contain slashes.
        operation.path.replace("{event}", "{event:path}"),
        _endpoint(operation, ask),
        methods=[operation.method],
        dependencies=_before(operation, mount),
        status_code=operation.status,
        response_model=None if operation.is_text else operation.view,
        response_class=_TextResponse if operation.is_text else JSONResponse,
        name=f"{prefix}:{operation.name}",
        operation_id=f"{prefix}_{operation.name}",
        summary=operation.summary,
        description=operation.description,
        responses=responses(operation, guarded=turns_away(mount)),
        openapi_extra=None if shown is None else request_body(shown, required=operation.needs_body),
        route_class_override=route_for(operation.action),
    )


class _TextResponse(Response):
    """Of text OpenAPI tells by `responses`, and not by a class."""

    media_type = None


def turns_away(mount: Mount[Any]) -> bool:
    """Whether requests are turned away for who sends them."""
    return mount.closed or getattr(mount, "tenant", None) is not None


def _before(operation: Operation, mount: Mount[Dependency]) -> list[Dependency]:
    """What a request passes on its way to the handler, in this order."""
    limited = json_body(mount.max_body_size, required=operation.needs_body)
    posted = [Depends(limited)] if operation.method == "POST" else []
    return [*mount.guards, Depends(ascii_query), *posted]


def _endpoint(operation: Operation, ask: Asking) -> Endpoint:
    """A function that FastAPI reads the operation's parameters off."""

    async def answer(ask: Ask, **taken: Any) -> Response:
        return as_response(await operation.answer(ask, taken))

    first = inspect.Parameter("ask", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[Ask, Depends(ask)])
    signature = inspect.Signature([first, *map(_argument, operation.taken)])
    answer.__signature__ = signature  # type: ignore[attr-defined]  # what `inspect` reads first
    answer.__name__ = operation.name
    return answer


def _argument(taken: Taken) -> inspect.Parameter:
    required = taken.default is REQUIRED or taken.parameter is None
    default, kind = inspect.Parameter.empty if required else taken.default, taken.kind
    hint: Any = Annotated[kind, Depends(_body(kind)) if taken.parameter is None else _marked(taken.parameter)]
    return inspect.Parameter(taken.argument, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=default)


def _body(model: type[BaseModel]) -> Callable[[Request], Awaitable[BaseModel]]:
    async def read(request: Request) -> BaseModel:
        return json_in(request, model)

    return read


def _marked(parameter: Parameter) -> Any:
    said: dict[str, Any] = {
        "alias": parameter.name,
        "description": parameter.description,
        "ge": parameter.ge,
        "le": parameter.le,
        "max_length": parameter.max_length,
    }
    return _PLACES[parameter.place](**{name: value for name, value in said.items() if value is not None})
