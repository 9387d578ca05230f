"""The shop as seen from outside: HTTP and nothing else."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from litestar import Litestar


class ShopError(Exception):
    """The shop answered with a problem."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Its routes as methods; each answers the JSON, and raises `ShopError` for a problem."""

    http: httpx.AsyncClient

    async def place(self, customer: str, address: str) -> Any:
        return await self._call("POST", "/orders", {"customer": customer, "address": address})

    async def pay(self, order_id: str) -> Any:
        return await self._call("POST", f"/orders/{order_id}/pay")

    async def order(self, order_id: str) -> Any:
        return await self._call("GET", f"/orders/{order_id}")

    async def trigger(self, order_id: str, event: str) -> Any:
        return await self._call("POST", f"/workflows/instances/{order_id}/events/{event}", {})

    async def events(self, order_id: str) -> Any:
        return await self._call("GET", f"/workflows/instances/{order_id}/events")

    async def history(self, order_id: str) -> Any:
        return await self._call("GET", f"/workflows/instances/{order_id}/history")

    async def diagram(self, order_id: str) -> str:
        return await self._text(f"/workflows/instances/{order_id}/diagram")

    async def page(self, path: str) -> str:
        return await self._text(path)

    async def shipments(self) -> Any:
        return await self._call("GET", "/shipments")

    async def open_warehouse(self, *, is_open: bool) -> Any:
        return await self._call("PUT", "/warehouse", {"open": is_open})

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        answer = await self.http.request(method, path, json=body)
        return _checked(answer).json()

    async def _text(self, path: str) -> str:
        return _checked(await self.http.get(path)).text


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise ShopError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    return answer


@asynccontextmanager
async def shop_at(url: str) -> AsyncIterator[Shop]:
    """The shop that listens at `url`."""
    async with httpx.AsyncClient(base_url=url) as http:
        yield Shop(http)


@asynccontextmanager
async def shop_inside(app: Litestar) -> AsyncIterator[Shop]:
    """The shop without a network: the application is started here and called directly."""
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar spells out what ASGI messages hold
    async with app.lifespan(), httpx.AsyncClient(base_url="http://shop", transport=transport) as http:
        yield Shop(http)
