"""One request to the dashboard: what it asks for, what its sender may do, and how it is answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from detent.errors import InvalidValue, NotStarted
from detent.service.service import WorkflowService
from detent.service.triggers import TriggerService
from detent.store.records import WorkflowInstance
from detent_dashboard.files import VERSION
from detent_dashboard.forgery import COOKIE, FIELD, comes_from_here
from detent_dashboard.house import House
from detent_dashboard.messages import DONE
from detent_dashboard.policy import Action
from detent_dashboard.refusals import Refusal, not_allowed, not_there
from detent_dashboard.rendering import rendered

MAX_FORM = 1024 * 1024
"""How many bytes a form may have."""
MAX_FIELDS = 2000
MAX_ASKED = 4000
"""How long one parameter of an address may be."""


class Answered(Exception):
    """The policy sends an answer of its own, such as a redirect to a login."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


@dataclass(frozen=True, slots=True)
class Visit:
    """A request and the workflows as it may use them."""

    house: House
    request: Request
    workflows: WorkflowService
    triggers: TriggerService | None

    @property
    def now(self) -> datetime:
        """What the runtime's clock shows."""
        return self.workflows.running().parts.present

    @property
    def workflows_run(self) -> bool:
        """Whether the runtime has started, and not ended."""
        try:
            self.workflows.running()
        except NotStarted:
            return False
        return True

    def asked(self, name: str, default: str = "") -> str:
        """A parameter of the query, stripped. Raises `Refusal` for one that is too long, or that no database keeps."""
        value = self.request.query_params.get(name, default).strip()
        if "\0" in value:
            raise _unkeepable()
        if len(value) > MAX_ASKED:
            raise Refusal(400, "Too long", f"{name} may have {MAX_ASKED} characters.")
        return value

    # -- what may be done

    async def may(self, action: Action, instance: WorkflowInstance | None = None) -> bool:
        """Whether the policy lets it pass."""
        return await self.house.decide(self.request, action, instance) is True

    async def require(self, action: Action, instance: WorkflowInstance | None = None) -> None:
        """Raise `Refusal`, or `Answered`, unless the policy lets it pass.

        An instance that may not even be looked at is not there: whether it exists is nobody's business then.
        """
        decided = await self.house.decide(self.request, action, instance)
        if isinstance(decided, Response):
            raise Answered(decided)
        if not decided:
            raise not_there() if instance is not None and action == "read" else not_allowed()

    async def instance(self, action: Action = "read") -> WorkflowInstance:
        """The instance that the path names, once it is known that it may be looked at, and `action` be done."""
        found = await self.workflows.get_instance(self.request.path_params["instance_id"])
        await self.require("read", found)
        if action != "read":
            await self.require(action, found)
        return found

    # -- what was sent

    async def form(self) -> FormData:
        """The fields of a form that one of our pages sent. Raises `Refusal`."""
        if not comes_from_here(self.request.headers):
            raise Refusal(403, "Refused", "This form was not sent from a page of this dashboard.")
        if self.request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise Refusal(415, "Refused", "Only forms are taken here.")
        body = bytearray()
        async for chunk in self.request.stream():
            body += chunk
            if len(body) > MAX_FORM:
                raise Refusal(413, "Too large", f"A form may have {MAX_FORM} bytes.")
        try:
            read: Any = parse_qsl(
                bytes(body).decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"
            )
        except ValueError:
            raise Refusal(400, "Refused", "The form cannot be read.") from None
        if any("\0" in part for pair in read for part in pair):
            raise _unkeepable()
        fields = FormData(read)
        if not self.house.tokens.accepts(self.request, str(fields.get(FIELD, ""))):
            raise Refusal(
                403, "Refused", "This page is too old, or cookies are off: go back, load it again, and repeat."
            )
        return fields

    # -- what is answered

    def to(self, *path: str, **query: str | int | None) -> str:
        """The address of a page of this dashboard, wherever it is mounted."""
        said = {name: value for name, value in query.items() if value not in (None, "")}
        inside = "/".join(quote(part, safe="") for part in path)
        root = str(self.request.scope.get("root_path", ""))
        return f"{quote(root)}/{inside}" + (f"?{urlencode(said)}" if said else "")

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page, with a cookie for its forms."""
        tokens, toy = self.house.tokens, self.house.toy
        seed = tokens.seed_of(self.request)
        shared: Mapping[str, Any] = {
            "visit": self,
            "to": self.to,
            "title": self.house.title,
            "files_version": VERSION,
            "toy": toy,
            "now": self.now,
            "section": self.request.url.path.removeprefix(str(self.request.scope.get("root_path", ""))).split("/")[1],
            "csrf": (FIELD, tokens.token(seed)),
            "done": DONE.get(self.request.query_params.get("done", "")),
        }
        response = rendered(template, {**shared, **values}, status=status)
        if COOKIE not in self.request.cookies:
            response.set_cookie(
                COOKIE,
                seed,
                path=quote(str(self.request.scope.get("root_path", ""))) or "/",
                secure=self.request.url.scheme == "https",
                httponly=True,
                samesite="strict",
            )
        return response

    def go(self, *path: str, done: str, **query: str | int | None) -> Response:
        """On to another page, which says what was done."""
        return RedirectResponse(self.to(*path, **query, done=done), status_code=303)

    async def settled(self, created: WorkflowInstance | None = None) -> None:
        """In a playground, what a worker would do now is done."""
        if self.house.toy is not None:
            await self.house.toy.settle(None if created is None else created.id)


def confirmed_reason(form: FormData) -> str:
    """Why something is to be done, once it is said that it is meant. Raises `InvalidValue`."""
    reason = str(form.get("reason", "")).strip()
    if not reason:
        raise InvalidValue("reason", "is wanted: history keeps it")
    if form.get("confirmed") != "yes":
        raise InvalidValue("confirmed", "tick the box to say that you mean it")
    return reason


def _unkeepable() -> Refusal:
    return Refusal(400, "Refused", "No text may hold a NUL character.")


def listed(fields: FormData, name: str) -> Sequence[str]:
    """All values of a field."""
    return [str(value) for value in fields.getlist(name)]
