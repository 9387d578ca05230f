"""The dashboard as one ASGI application."""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from detent.errors import DetentError, InvalidValue
from detent.service.http.meanings import OURS
from detent.service.http.policy import AllowAll
from detent_dashboard.files import files
from detent_dashboard.forgery import Tokens
from detent_dashboard.headers import SafeHeaders
from detent_dashboard.house import House, Source, Toy, TriggerSource
from detent_dashboard.mounting import Mounted
from detent_dashboard.pages.clock import clock
from detent_dashboard.pages.definitions import definition, definition_diagram, definitions, start
from detent_dashboard.pages.instance import instance, instance_diagram
from detent_dashboard.pages.instance_verbs import VERBS, operate, take_event
from detent_dashboard.pages.live import live
from detent_dashboard.pages.overview import overview
from detent_dashboard.pages.parked import parked, retry_parked
from detent_dashboard.pages.schedule import schedule, switch_trigger
from detent_dashboard.pages.schedules import schedules
from detent_dashboard.pages.search import search
from detent_dashboard.pages.upgrade import upgrade
from detent_dashboard.pages.work import work
from detent_dashboard.policy import Acting, Policy, TenantOf
from detent_dashboard.refusals import Refusal, not_there, status_of
from detent_dashboard.visit import Answered, Visit

logger = logging.getLogger("detent.dashboard")

Page: TypeAlias = Callable[[Visit], Awaitable[Response]]


def dashboard(
    workflows: Source,
    *,
    policy: Policy,
    triggers: TriggerSource | None = None,
    tenant: TenantOf | None = None,
    acting: Acting | None = None,
    secret: str | None = None,
    title: str = "Detent",
    mermaid: Path | str | None = None,
    toy: Toy | None = None,
) -> ASGIApp:
    """An ASGI application with the dashboard's pages, to be mounted under any path by any framework.

    * `workflows`: a `WorkflowRuntime`, a `WorkflowService`, or a function that answers one when a request comes.
    * `policy`: `authorize(request, action, instance)`, see `Authorize`; or `AllowAll()`, which logs a warning.
    * `triggers`: the `TriggerService` over the same runtime, or a function that answers it; with it there is a page of schedules.
    * `tenant`: whose instances a request may see; another one's is not there. A request of which it says `None` gets a 403.
    * `acting`: who sends a request, as trigger metadata for history.
    * `secret`: what the tokens of forms are signed with. Without one, each process makes its own: where several serve the
      dashboard, give them the same.
    * `title`: what stands at the top.
    * `mermaid`: the file of Mermaid's script, which draws the diagrams; without it they are shown as text and as a list.
    * `toy`: the clock of a playground.

    Raises `InvalidValue` for a policy that is none, and for a script that is not there.
    """
    if not isinstance(policy, AllowAll) and (isinstance(policy, type) or not callable(policy)):
        raise InvalidValue(
            "policy",
            "must be a function authorize(request, action, instance)",
            hint="write AllowAll() where everybody may do everything",
        )
    script = None if mermaid is None else Path(mermaid)
    if script is not None and not script.is_file():
        raise InvalidValue("mermaid", f"is {str(script)!r}, where no file is")
    if isinstance(policy, AllowAll):
        logger.warning("the dashboard is open to everybody: AllowAll()")
    house = House(
        source=workflows,
        triggers=triggers,
        policy=policy,
        tenant=tenant,
        acting=acting,
        tokens=Tokens(secret),
        title=title,
        mermaid=script,
        toy=toy,
    )
    app = Starlette(routes=_routes(house), exception_handlers={HTTPException: _http_error})
    app.router.redirect_slashes = False
    return Mounted(SafeHeaders(app))


def _routes(house: House) -> list[Route]:
    served: list[tuple[str, Page, str]] = [
        ("/", overview, "GET"),
        ("/instances", search, "GET"),
        ("/instances/{instance_id}", instance, "GET"),
        ("/instances/{instance_id}/diagram", instance_diagram, "GET"),
        ("/instances/{instance_id}/event", take_event, "POST"),
        ("/instances/{instance_id}/live", live, "GET"),
        ("/parked", parked, "GET"),
        ("/parked", retry_parked, "POST"),
        ("/definitions", definitions, "GET"),
        ("/definition", definition, "GET"),
        ("/definition", start, "POST"),
        ("/definition/diagram", definition_diagram, "GET"),
        ("/upgrade", upgrade, "GET"),
        ("/work", work, "GET"),
    ]
    routes = [Route(path, _endpoint(house, page), methods=[method]) for path, page, method in served]
    verbs = [Route("/instances/{instance_id}/{verb}", _endpoint(house, _verb), methods=["POST"])]
    if house.triggers is not None:
        routes += [
            Route("/schedules", _endpoint(house, schedules), methods=["GET"]),
            Route("/schedules/{instance_id}", _endpoint(house, schedule), methods=["GET"]),
            Route("/schedules/{instance_id}/{verb}", _endpoint(house, switch_trigger), methods=["POST"]),
        ]
    toys = [] if house.toy is None else [Route("/clock", _endpoint(house, clock), methods=["POST"])]
    return [*routes, *verbs, *toys, Route("/static/{name}", files(house.mermaid), methods=["GET"])]


async def _verb(visit: Visit) -> Response:
    if visit.request.path_params["verb"] not in VERBS:
        raise not_there()
    return await operate(visit)


def _endpoint(house: House, page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        visit = None
        try:
            visit = Visit(house, request, *await house.open_to(request))
            return await page(visit)
        except Answered as answered:
            return answered.response
        except Refusal as refusal:
            return _refused(visit, refusal)
        except DetentError as error:
            return _refused(visit, _told(request, error))

    return endpoint


def _told(request: Request, error: DetentError) -> Refusal:
    status = status_of(error)
    if status == 404:
        return not_there()
    if status >= 500:
        logger.error("%s %s ended in %s", request.method, request.url.path, error.code, exc_info=error)
        return Refusal(status, "Not possible now", OURS)
    return Refusal(status, "Not possible", str(error))


def _refused(visit: Visit | None, refusal: Refusal) -> Response:
    if visit is None or not visit.workflows_run:
        return Response(f"{refusal.title}. {refusal.detail}", status_code=refusal.status, media_type="text/plain")
    return visit.page("refusal.html", status=refusal.status, refusal=refusal)


async def _http_error(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    return Response("There is nothing here.", status_code=status, headers=headers, media_type="text/plain")
