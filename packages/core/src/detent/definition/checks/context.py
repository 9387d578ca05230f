"""Contexts and payloads: that their models are models, and that what states write fits."""

from collections.abc import Iterator

from detent.definition.conformance import misfits, schema_fault
from detent.definition.data_model import DataModel
from detent.definition.walk import each_event
from detent.definition.workflow import Workflow
from detent.problems import Problem


def models_are_schemas(definition: Workflow) -> Iterator[Problem]:
    """Every model is a JSON Schema that can be applied."""
    for path, model in _models(definition):
        reason = schema_fault(model.json_schema)
        if reason:
            yield Problem(path, "bad_json_schema", f"this is not a JSON Schema: {reason}")


def patches_fit_the_model(definition: Workflow) -> Iterator[Problem]:
    """What a state writes into the context can be part of a valid one."""
    if definition.context_model is None:
        return
    for name, state in definition.states.items():
        for key, reason in misfits(definition.context_model, state.context):
            path = f"states.{name}.context.{key}"
            yield Problem(path, "context_breaks_model", f"breaks the context model: {reason}")


def _models(definition: Workflow) -> Iterator[tuple[str, DataModel]]:
    if definition.context_model is not None:
        yield "context_model", definition.context_model
    for path, _, _, event in each_event(definition):
        if event.payload is not None:
            yield f"{path}.payload", event.payload
