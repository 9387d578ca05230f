"""The workflows that are known, their versions and diagrams, and making an instance of one."""

from starlette.responses import Response

from detent.definition.model import WorkflowDefinition
from detent.errors import UnknownVersion
from detent_dashboard.fields import fields_of, json_of, read_json
from detent_dashboard.pages.instance import diagram_page, drawn
from detent_dashboard.refusals import told
from detent_dashboard.visit import Visit


async def definitions(visit: Visit) -> Response:
    """`GET /definitions`."""
    await visit.require("read")
    names = sorted(visit.workflows.workflows)
    rows = [(name, visit.workflows.definition(name), await visit.workflows.list_versions(name)) for name in names]
    return visit.page("definitions.html", rows=rows)


async def definition(visit: Visit) -> Response:
    """`GET /definition?workflow=…&version=…`; the newest version without one."""
    await visit.require("read")
    return await _shown(visit)


async def definition_diagram(visit: Visit) -> Response:
    """`GET /definition/diagram?workflow=…&version=…`: the picture alone."""
    await visit.require("read")
    return diagram_page(visit, drawn(await _version(visit)).text)


async def start(visit: Visit) -> Response:
    """`POST /definition?workflow=…&version=…`: `context` and `metadata`."""
    form = await visit.form()
    await visit.require("start")
    written = await _version(visit)
    try:
        context = json_of(form, fields_of(_context_schema(written)), "context")
        made = await visit.workflows.create_instance(
            written.name,
            context=context,
            metadata=read_json(str(form.get("metadata", "")), "metadata"),
            version=visit.asked("version") or None,
        )
        await visit.settled(made)
    except Exception as error:  # a command of the first state may raise anything
        status, problem = told(error)
        return await _shown(visit, problem=problem, status=status, typed=form)
    return visit.go("instances", str(made.id), done="start")


async def _shown(visit: Visit, *, problem: str | None = None, status: int = 200, typed: object = None) -> Response:
    written = await _version(visit)
    versions = await visit.workflows.list_versions(written.name)
    [registered] = [one.registered for one in versions if one.version == written.version]
    return visit.page(
        "definition.html",
        status=status,
        problem=problem,
        typed=typed or {},
        definition=written,
        versions=versions,
        version=visit.asked("version"),
        picture=drawn(written),
        source=written.to_dict(),
        fields=fields_of(_context_schema(written)),
        may_start=registered and await visit.may("start"),
    )


async def _version(visit: Visit) -> WorkflowDefinition:
    """The version that the address names, registered or stored. Raises `UnknownWorkflow`, `UnknownVersion`."""
    workflow, version = visit.asked("workflow"), visit.asked("version")
    if not version:
        return visit.workflows.definition(workflow)
    stored = await visit.workflows.running().parts.store.load_definition(workflow, version)
    if stored is None:
        raise UnknownVersion(workflow, version)
    return WorkflowDefinition.from_dict(stored.definition)


def _context_schema(written: WorkflowDefinition) -> dict[str, object] | None:
    return None if written.context_model is None else written.context_model.json_schema
