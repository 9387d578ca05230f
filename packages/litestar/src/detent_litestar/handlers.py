"""Operations of the contract as handlers of Litestar."""

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, cast

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, RequestBody, Schema
from litestar.openapi.spec import Operation as Described
from litestar.params import BodyKwarg, HeaderParameter, ParameterKwarg, PathParameter, QueryParameter

from detent.json_values import JsonObject
from detent.service.http.ask import Ask
from detent.service.http.bodies import JSON
from detent.service.http.errors import NotTaken
from detent.service.http.operation import Operation
from detent.service.http.operations import ACTION, ERRORS
from detent.service.http.parameters import REQUIRED, Parameter, Taken
from detent.service.http.policy import Mount
from detent.service.http.problems import PROBLEM_JSON
from detent.service.schemas import ProblemDetails
from detent_litestar.bodies import ascii_query, json_body
from detent_litestar.errors import turned_away
from detent_litestar.headers import told
from detent_litestar.views import as_response

Answering: TypeAlias = Callable[..., Any]

_PLACES = {"path": PathParameter, "query": QueryParameter, "header": HeaderParameter}
_JSON_BODY = BodyKwarg(media_type=RequestEncodingType.JSON)
_BODY = "data"
"""What Litestar calls the body of a request."""


def handler_of(operation: Operation, mount: Mount[Any], *, guarded: bool) -> HTTPRouteHandler:
    """The handler of an operation; `guarded` where requests are turned away for who sends them."""
    prefix = mount.operation_id_prefix
    errors = sorted({*operation.errors, *((401, 403) if guarded else ())})
    posted = [json_body(required=operation.needs_body)] if operation.method == "POST" else []
    decorate = (post if operation.method == "POST" else get)(
        _path(operation.path),
        guards=[ascii_query, *posted],
        opt={ACTION: operation.action},
        name=f"{prefix}:{operation.name}",
        media_type=operation.media_types[0],
        status_code=operation.status,
        operation_id=f"{prefix}_{operation.name}",
        operation_class=_described(operation),
        summary=operation.summary,
        description=operation.description,
        response_headers=[told(name) for name in operation.headers],
        responses={
            **{status: _error(status) for status in errors},
            **{
                status: ResponseSpec(further.view, description=further.description, generate_examples=False)
                for status, further in operation.further.items()
            },
        },
    )
    return decorate(_answering(operation))


def _answering(operation: Operation) -> Answering:
    """A function that Litestar reads the operation's parameters off."""
    body = operation.body

    async def answer(ask: Ask, **taken: Any) -> Response[Any]:
        if body is not None:
            taken[body.argument] = taken.pop(_BODY)
        try:
            return as_response(await operation.answer(ask, taken))
        except NotTaken as error:
            raise turned_away(error.why) from None

    asked = [inspect.Parameter("ask", inspect.Parameter.KEYWORD_ONLY, annotation=NamedDependency[Ask])]
    signature = inspect.Signature([*asked, *map(_argument, operation.taken)])
    hints = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    answer.__annotations__ = hints | {"return": _response_of(str if operation.is_text else operation.view)}
    answer.__signature__ = signature  # type: ignore[attr-defined]  # what `inspect` reads first
    answer.__name__ = operation.name
    return answer


def _response_of(view: Any) -> Any:
    return Response[view]


def _argument(taken: Taken) -> inspect.Parameter:
    name = _BODY if taken.parameter is None else taken.argument
    kind, marked = taken.kind, _JSON_BODY if taken.parameter is None else _marked(taken.parameter)
    default = inspect.Parameter.empty if taken.default is REQUIRED else taken.default
    hint: Any = Annotated[kind, marked]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=default)


def _marked(parameter: Parameter) -> ParameterKwarg:
    said: dict[str, Any] = {
        "name": parameter.name,
        "description": parameter.description,
        "ge": parameter.ge,
        "le": parameter.le,
        "max_length": parameter.max_length,
    }
    return _PLACES[parameter.place](**{name: value for name, value in said.items() if value is not None})


def _path(path: str) -> str:
    """The path as Litestar spells it; names of events may contain slashes."""
    return re.sub(r"{(\w+)}", lambda found: f"{{{found[1]}:{'path' if found[1] == 'event' else 'str'}}}", path)


def _described(operation: Operation) -> type[Described]:
    """How OpenAPI tells of the operation: bodies as they are said to be, and all forms of a text."""

    @dataclass
    class AsSaid(Described):
        def __post_init__(self) -> None:
            if operation.body_schema is not None:
                self.request_body = RequestBody(content=_media([JSON], operation.body_schema), required=False)
            if operation.is_text and self.responses is not None:
                told = cast("OpenAPIResponse", self.responses[str(operation.status)])
                told.content = _media(operation.media_types, operation.text_schema)

    return AsSaid


def _media(media_types: Iterable[str], schema: JsonObject) -> dict[str, OpenAPIMediaType]:
    """A schema that is written as it is, under each media type."""
    as_it_is = cast("Schema", schema)
    return {media_type: OpenAPIMediaType(schema=as_it_is) for media_type in media_types}


def _error(status: int) -> ResponseSpec:
    return ResponseSpec(ProblemDetails, media_type=PROBLEM_JSON, description=ERRORS[status], generate_examples=False)
