"""Work that waits for somebody, the longest waiting first, and trying all of it again."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from starlette.responses import Response

from detent.errors import InstanceNotFound, InvalidValue
from detent.runtime.bulk_verbs import BulkFailure
from detent.runtime.finding_verbs import Where
from detent.store.records import WorkflowInstance
from detent.store.run_records import Run
from detent_dashboard.visit import Visit, listed

LIMIT = 50


@dataclass(frozen=True, slots=True)
class Parked:
    """One instance with work that waits."""

    instance: WorkflowInstance
    what: str
    why: str


async def parked(visit: Visit) -> Response:
    """`GET /parked`."""
    await visit.require("read")
    return await _page(visit)


async def retry_parked(visit: Visit) -> Response:
    """`POST /parked`: `instance` as often as wanted, with `reason` and `confirmed`."""
    form = await visit.form()
    await visit.require("operate")
    reason, chosen = str(form.get("reason", "")).strip(), list(dict.fromkeys(listed(form, "instance")))[:LIMIT]
    missing = [
        said
        for said, given in (
            ("a reason", reason),
            ("the box that says that you mean it", form.get("confirmed") == "yes"),
            ("an instance", chosen),
        )
        if not given
    ]
    if missing:
        return await _page(visit, problem=f"What is missing: {', '.join(missing)}.", status=400)
    allowed, refused = await _allowed(visit, chosen)
    if not allowed:
        return await _page(visit, problem="None of these may be tried again by you.", status=403)
    report = await visit.workflows.retry_instances(ids=allowed, trigger_metadata={"reason": reason})
    await visit.settled()
    failed = (*refused, *report.failed)
    return await _page(visit, tried=len(report.changed), failed=failed, status=409 if failed else 200)


async def _allowed(visit: Visit, chosen: Sequence[str]) -> tuple[list[UUID], list[BulkFailure]]:
    """Those of the chosen ones that this request may operate on, each asked for by itself, and the others."""
    allowed, refused = list[UUID](), list[BulkFailure]()
    for identity in chosen:
        try:
            found = await visit.workflows.get_instance(identity)
        except (InstanceNotFound, InvalidValue):
            continue
        if await visit.may("read", found) and await visit.may("operate", found):
            allowed.append(found.id)
        else:
            refused.append(BulkFailure(found.id, "not_allowed", "you may not do this with it"))
    return allowed, refused


async def _page(
    visit: Visit,
    *,
    problem: str | None = None,
    tried: int | None = None,
    failed: Sequence[BulkFailure] = (),
    status: int = 200,
) -> Response:
    workflow = visit.asked("workflow")
    where: Where = {"workflow": workflow} if workflow else {}
    found = await visit.workflows.find_parked(limit=LIMIT, cursor=visit.asked("cursor") or None, **where)
    runs = {one.run_id: await visit.workflows.runs.get(one.run_id) for one in found if one.run_id is not None}
    return visit.page(
        "parked.html",
        status=status,
        problem=problem,
        tried=tried,
        failed=failed,
        rows=[_row(one, runs[one.run_id] if one.run_id is not None else None) for one in found],
        workflow=workflow,
        workflows=sorted(visit.workflows.workflows),
        may_operate=await visit.may("operate"),
        further=visit.to("parked", workflow=workflow, cursor=found.cursor) if found.cursor else None,
    )


def _row(instance: WorkflowInstance, run: Run | None) -> Parked:
    if run is not None:
        return Parked(instance, f"run of {run.event}, at {run.command or 'its end'}", run.reason or "")
    timers = [timer for timer in instance.timers if timer.parked]
    return Parked(
        instance,
        ", ".join(f"timeout {timer.event}, after {_attempts(timer.attempts)}" for timer in timers),
        "; ".join(timer.reason for timer in timers if timer.reason),
    )


def _attempts(number: int) -> str:
    return f"{number} attempt" + ("" if number == 1 else "s")
