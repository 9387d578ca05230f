"""What moving live instances to another version would do; nothing is written."""

from starlette.responses import Response

from detent.errors import InvalidValue
from detent.upgrade.options import UpgradeOptions
from detent.upgrade.report import UpgradeReport
from detent_dashboard.fields import read_json
from detent_dashboard.refusals import status_of
from detent_dashboard.visit import Visit

LIMIT = 100
"""How many instances a plan looks at."""


async def upgrade(visit: Visit) -> Response:
    """`GET /upgrade?workflow=…`, with `from_version`, `to_version` and `state_mapping` as typed."""
    await visit.require("read")
    workflow = visit.asked("workflow")
    versions = await visit.workflows.list_versions(workflow)
    asked = {name: visit.asked(name) for name in ("from_version", "to_version", "state_mapping")}
    report: UpgradeReport | None = None
    problem, status = None, 200
    try:
        report = await visit.workflows.plan_upgrade(workflow, **_options(visit))
    except InvalidValue as error:
        problem, status = str(error), status_of(error)
    return visit.page(
        "upgrade.html",
        status=status,
        problem=problem,
        workflow=workflow,
        versions=versions,
        asked=asked,
        report=report,
        further=visit.to("upgrade", workflow=workflow, **asked, cursor=report.cursor)
        if report and report.cursor
        else None,
    )


def _options(visit: Visit) -> UpgradeOptions:
    options: UpgradeOptions = {"limit": LIMIT}
    if version := visit.asked("from_version"):
        options["from_version"] = version
    if version := visit.asked("to_version"):
        options["to_version"] = version
    if cursor := visit.asked("cursor"):
        options["cursor"] = cursor
    if mapping := visit.asked("state_mapping"):
        options["state_mapping"] = read_json(mapping, "state_mapping")
    return options
