"""What workers have before them: the backlog, and runs with their queues and who holds them."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from detent.errors import InvalidValue
from detent.store.run_records import ACTIVE_RUNS, Run, RunStatus
from detent_dashboard.refusals import status_of
from detent_dashboard.visit import Visit

LIMIT = 50


async def work(visit: Visit) -> Response:
    """`GET /work?status=…&queue=…`: the runs that are not over without a status."""
    await visit.require("read")
    asked = {name: visit.asked(name) for name in ("status", "queue")}
    found: Sequence[Run] = ()
    problem, status = None, 200
    try:
        found = await visit.workflows.runs.list(**_conditions(visit))
    except InvalidValue as error:
        problem, status = str(error), status_of(error)
    backlog = await visit.workflows.running().parts.store.backlog(tenant=visit.workflows.tenant, now=visit.now)
    return visit.page(
        "work.html",
        status=status,
        problem=problem,
        asked=asked,
        backlog=backlog,
        runs=found,
        statuses=[each.value for each in RunStatus],
        further=visit.to("work", **asked, after=str(found[-1].id)) if len(found) == LIMIT else None,
    )


def _conditions(visit: Visit) -> Mapping[str, Any]:
    return {
        "status": visit.asked("status") or sorted(ACTIVE_RUNS),
        "queue": visit.asked("queue") or None,
        "after": visit.asked("after") or None,
        "limit": LIMIT,
    }
