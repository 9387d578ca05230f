"""Dashboards over a runtime in memory, asked over ASGI as a browser would ask them."""

import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from detent import (
    CommandContext,
    Fail,
    GuardContext,
    MemoryStore,
    Refuse,
    Retry,
    Settings,
    WorkflowDefinition,
    WorkflowInstance,
    WorkflowRuntime,
    command,
    guard,
)
from detent.store.protocol import Store
from detent.testing import FakeClock
from detent_dashboard import AllowAll, dashboard

ORDER: dict[str, Any] = {
    "name": "order",
    "description": "From the cart to the parcel.",
    "initial_state": "new",
    "states": {
        "new": {
            "events": {
                "pay": {
                    "target": "paid",
                    "description": "The bank says that it has the money.",
                    "metadata": {"label": "Take payment"},
                    "payload": {
                        "type": "object",
                        "properties": {
                            "amount": {"type": "integer", "title": "Amount in cents"},
                            "card": {"enum": ["visa", "amex"]},
                            "note": {"type": "string"},
                            "gift": {"type": "boolean"},
                            "lines": {"type": "array"},
                        },
                        "required": ["amount"],
                    },
                },
                "approve": {"target": "paid", "guard": "in_stock"},
                "charge": {"target": "paid", "commands": ["charge"]},
                "crash": {"target": "paid", "commands": ["crash"]},
                "expire": {"target": "expired", "timeout": "1h"},
                "look": {"target": "new", "timeout": "10m", "guard": "in_stock"},
            }
        },
        "paid": {"events": {"ship": {"target": "shipped"}}},
        "shipped": {},
        "expired": {"outcome": "cancelled"},
    },
}


@command("charge")
async def charge(ctx: CommandContext) -> Fail:
    return Fail("card_declined", "the bank said no")


@command("crash")
async def crash(ctx: CommandContext) -> None:
    raise ZeroDivisionError("secret of the server")


@guard("in_stock")
def in_stock(ctx: GuardContext) -> Refuse | bool:
    return True if ctx.context.get("stock") else Refuse("nothing is in stock")


class Forms(HTMLParser):
    """The forms of a page: where they go, and what their hidden fields say."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((said.get("action", ""), {}))
        if tag == "input" and said.get("type") == "hidden" and self.found:
            self.found[-1][1][said["name"]] = said["value"]


@dataclass
class Browser:
    """A client with cookies that sends the forms of the page it looks at."""

    http: httpx.AsyncClient
    page: httpx.Response | None = None

    async def get(self, path: str, **options: Any) -> httpx.Response:
        self.page = await self.http.get(path, **options)
        return self.page

    async def send(
        self, action: str, follow: bool = True, chosen: dict[str, str] | None = None, **said: Any
    ) -> httpx.Response:
        """Send the form of the last page that goes to `action` and whose hidden fields say what is `chosen`."""
        assert self.page is not None
        forms = Forms()
        forms.feed(self.page.text)
        hidden = next(
            fields
            for where, fields in forms.found
            if where.endswith(action)
            and "csrf_token" in fields
            and all(fields.get(name) == value for name, value in (chosen or {}).items())
        )
        where = next(where for where, fields in forms.found if fields is hidden)
        said = {name.replace("field_", "field:"): value for name, value in said.items()}
        self.page = await self.http.post(where, data={**hidden, **said}, follow_redirects=follow)
        return self.page

    async def event(self, name: str, **said: Any) -> httpx.Response:
        return await self.send("/event", chosen={"event": name}, **said)

    async def operate(self, verb: str, **said: Any) -> httpx.Response:
        return await self.send(f"/{verb}", reason="because", confirmed="yes", **said)

    async def look_at(self, instance: WorkflowInstance) -> httpx.Response:
        return await self.get(f"/instances/{instance.id}")


@dataclass
class Dashboard(Browser):
    """A browser that looks at a runtime of the test."""

    runtime: WorkflowRuntime = field(kw_only=True)
    clock: FakeClock = field(kw_only=True)


Open = Callable[..., AbstractAsyncContextManager[Dashboard]]


@pytest.fixture
def open_dashboard() -> Open:
    @asynccontextmanager
    async def opened(
        *definitions: dict[str, Any],
        commands: Iterable[Any] = (),
        store: Store | None = None,
        record_changes: bool = False,
        **options: Any,
    ) -> AsyncIterator[Dashboard]:
        clock = FakeClock()
        made = WorkflowRuntime(
            store=store or MemoryStore(lock_timeout=0.2),
            definitions=[WorkflowDefinition.from_dict(one) for one in definitions or (ORDER,)],
            commands=[charge, crash, *commands],
            guards=[in_stock],
            clock=clock,
            settings=Settings(
                timeout_retry=Retry(attempts=1, initial=timedelta(minutes=1)), record_changes=record_changes
            ),
        )
        async with made:
            app = dashboard(made, **{"policy": AllowAll(), **options})
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://ops.test") as http:
                yield Dashboard(http, runtime=made, clock=clock)

    return opened


@pytest.fixture
async def browser(open_dashboard: Open) -> AsyncIterator[Dashboard]:
    async with open_dashboard() as opened:
        yield opened


async def followed(http: httpx.AsyncClient, start: str) -> set[str]:
    """The addresses of all pages and files that links lead to from `start`, each of which is there."""
    seen, ahead = set[str](), [start]
    while ahead:
        path = ahead.pop()
        if path in seen:
            continue
        seen.add(path)
        page = await http.get(path)
        assert page.status_code == 200, path
        if page.headers["content-type"].startswith("text/html"):
            ahead += [unescape(each) for each in re.findall(r'(?:href|src)="([^"#]+)', page.text)]
    return seen


def words(page: httpx.Response) -> str:
    """What a page says, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.text))
