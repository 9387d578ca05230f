"""What the routes of definitions answer."""

from typing import Annotated

from detent.definition.model import WorkflowDefinition
from detent.definition.version import version_key
from detent.notation.mermaid import to_mermaid
from detent.service.http.answers import Answer, StyleOf, SymbolsOf, drawn
from detent.service.http.ask import Ask
from detent.service.http.errors import NotTaken, TurnedAway
from detent.service.http.parameters import Named, Parameter
from detent.service.schemas import DefinitionView, FullDefinitionView, StoredVersionView
from detent.service.service import WorkflowService

Version = Annotated[
    str | None, Parameter("query", description="One that is stored, registered here or not; the newest without.")
]


async def list_definitions(ask: Ask) -> Answer[list[DefinitionView]]:
    """The registered workflows, each in its newest version."""
    return Answer([DefinitionView.of(ask.service.definition(name)) for name in ask.service.workflows])


async def get_definition(ask: Ask, workflow: Named, version: Version = None) -> Answer[FullDefinitionView]:
    """The newest version of a workflow in full, or another one that is stored, and which versions there are."""
    found = await _definition(ask.service, workflow, version)
    stored = await ask.service.running().parts.store.list_definitions([workflow])
    versions = sorted({found.version, *(snapshot.version for snapshot in stored)}, key=version_key)
    return Answer(FullDefinitionView.of_versions(found, versions))


async def list_versions(ask: Ask, workflow: Named) -> Answer[list[StoredVersionView]]:
    """The stored versions of a workflow, registered here or not, the oldest first, with how many instances are on each."""
    return Answer([StoredVersionView.model_validate(one) for one in await ask.service.list_versions(workflow)])


async def get_diagram(
    ask: Ask, workflow: Named, version: Version = None, style: StyleOf = "state", symbols: SymbolsOf = "unicode"
) -> Answer[str]:
    """The diagram of the newest version of a workflow, or of another one that is stored."""
    definition = await _definition(ask.service, workflow, version)
    return drawn(to_mermaid(definition, style=style, symbols=symbols), ask.accept)


async def _definition(service: WorkflowService, workflow: str, version: str | None) -> WorkflowDefinition:
    """The newest version of a workflow, or that one of those stored."""
    newest = service.definition(workflow)
    if version in (None, newest.version):
        return newest
    for snapshot in await service.running().parts.store.list_definitions([workflow]):
        if snapshot.version == version:
            return WorkflowDefinition.from_dict(snapshot.definition)
    raise NotTaken(TurnedAway(404, f"there is no version {version!r} of {workflow!r}"))
