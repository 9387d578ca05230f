"""Instances by what they are, a page at a time."""

from collections.abc import Mapping
from typing import Any, get_args
from uuid import UUID

from starlette.responses import Response

from detent.errors import InvalidValue
from detent.runtime.finding_verbs import InstancePage, Where
from detent.store.query import OrderKey
from detent.store.records import Status
from detent_dashboard.fields import read_json
from detent_dashboard.visit import Visit

FILTERS = ("id", "workflow", "state", "status", "version", "metadata", "context", "parked", "due", "order")
"""What may be asked for, as named in the address."""
ORDERS = [f"{sign}{key}" for key in get_args(OrderKey) for sign in ("-", "")]
LIMIT = 50

_NOTHING = InstancePage((), None)


async def search(visit: Visit) -> Response:
    """`GET /instances`."""
    await visit.require("read")
    asked = {name: visit.asked(name) for name in FILTERS}
    found, problem = _NOTHING, None
    try:
        found = await visit.workflows.find_instances(
            order=asked["order"] or "-created_at",
            limit=LIMIT,
            cursor=visit.asked("cursor") or None,
            **_where(visit, asked),
        )
    except InvalidValue as error:
        problem = str(error)
    return visit.page(
        "search.html",
        status=400 if problem else 200,
        found=found,
        asked=asked,
        problem=problem,
        workflows=sorted(visit.workflows.workflows),
        statuses=[status.value for status in Status],
        orders=ORDERS,
        further=visit.to("instances", **asked, cursor=found.cursor) if found.cursor else None,
    )


def _where(visit: Visit, asked: Mapping[str, str]) -> Where:
    where: Any = {}
    for name, condition in (
        ("workflow", "workflow"),
        ("state", "states"),
        ("status", "status"),
        ("version", "version"),
    ):
        if asked[name]:
            where[condition] = asked[name]
    if asked["id"]:
        where["ids"] = [_identity(asked["id"])]
    for name in ("metadata", "context"):
        if asked[name]:
            where[name] = read_json(asked[name], name)
    if asked["parked"]:
        where["parked"] = True
    if asked["due"]:
        where["due"] = (None, visit.now)
    found: Where = where
    return found


def _identity(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidValue("id", "is not a UUID") from None
