"""Definitions of every shape, written as diagrams: they read back to equal ones, and the real Mermaid accepts them all."""

from hypothesis import HealthCheck, Phase, given, settings

from detent.definition.model import WorkflowDefinition
from detent.notation.mermaid import to_mermaid
from detent.notation.mermaid_reader import from_mermaid
from detent.testing.strategies import definitions
from tests.mermaid.oracle import Mermaid
from tests.mermaid.oracle import mermaid as mermaid

BATCH = 250
"""How many texts Mermaid is asked about at once."""


def generated() -> list[WorkflowDefinition]:
    """100 definitions, always the same in CI; in `make nightly` 2,000 new ones."""
    found: list[WorkflowDefinition] = []

    # A batch is judged as a whole, so there is nothing to shrink, and nothing to try again.
    @settings(phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
    @given(definitions(forks=True))
    def collect(definition: WorkflowDefinition) -> None:
        found.append(definition)

    collect()
    return found


def test_generated_definitions_read_back_and_are_accepted_by_mermaid(mermaid: Mermaid) -> None:
    found = generated()
    assert len(found) >= settings().max_examples
    state_diagrams = [to_mermaid(definition) for definition in found]
    for definition, text in zip(found, state_diagrams, strict=True):
        assert from_mermaid(text) == definition, text
    texts = [*state_diagrams, *(to_mermaid(definition, style="flowchart") for definition in found)]
    refused = [
        (drawn.error, text)
        for start in range(0, len(texts), BATCH)
        for text, drawn in zip(texts[start:], mermaid.read(texts[start : start + BATCH]), strict=False)
        if not drawn.ok
    ]
    assert not refused, "\n".join(refused[0])
