"""The client has the verbs of handles and services under the same names and with the same options, or says why not."""

import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any, get_type_hints

import pytest

from detent import WorkflowHandle, WorkflowService, to_mermaid
from detent.client import RemoteHandle, WorkflowClient
from detent.runtime.finding_verbs import Where
from detent.runtime.handle import Manner

NOT_OVER_HTTP = {
    "subject": "an object of the caller's process",
    "connection": "a transaction of the caller's process",
    "idempotency_fingerprint": "the server makes it of what is asked",
    "direction": "no parameter of the route",
    "marks": "the server knows them",
}
"""Options that the client lacks, and why."""
NO_ROUTE = {
    "enqueue_event": "whether a worker finishes an event is for the application to say",
    "explain": "the CLI and the dashboard have it",
    "patch_context": "no route writes a context by itself",
    "note": "no route writes history by itself",
    "rearm": "the route that retries fires a timeout that was tried in vain",
}
"""Verbs of handles that the client lacks, and why."""
OF_ITS_OWN = {
    "get_runs": "what `service.runs.for_instance` answers",
    "changes": "in the application's own process observers hear of them",
}
SPREAD: Mapping[str, Mapping[str, Any]] = {"manner": get_type_hints(Manner), "where": get_type_hints(Where)}
"""Options that stand behind two asterisks."""


def verbs(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_") and inspect.isfunction(getattr(kind, name))}


def options(verb: Callable[..., Any]) -> dict[str, object]:
    """The parameters with their defaults; those that the client cannot have are left out."""
    found: dict[str, object] = {}
    for name, parameter in inspect.signature(verb).parameters.items():
        if parameter.kind is Parameter.VAR_KEYWORD:
            found |= dict.fromkeys(SPREAD[name])
        else:
            found[name] = parameter.default
    return {name: default for name, default in found.items() if name not in NOT_OVER_HTTP}


def test_every_verb_of_a_handle_is_there_or_has_a_reason_not_to_be():
    assert verbs(WorkflowHandle) - verbs(RemoteHandle) == set(NO_ROUTE)
    assert verbs(RemoteHandle) - verbs(WorkflowHandle) == set(OF_ITS_OWN)


@pytest.mark.parametrize("name", sorted(verbs(WorkflowHandle) & verbs(RemoteHandle) - {"to_mermaid"}))
def test_a_verb_of_a_handle_has_the_same_options(name):
    assert options(getattr(RemoteHandle, name)) == options(getattr(WorkflowHandle, name))


@pytest.mark.parametrize("name", ["create_instance", "find_instances", "find_parked"])
def test_what_a_client_can_say_a_service_understands(name):
    understood = options(getattr(WorkflowService, name))
    assert options(getattr(WorkflowClient, name)).items() <= understood.items()


@pytest.mark.parametrize("drawing", [RemoteHandle.to_mermaid, WorkflowClient.to_mermaid])
def test_diagrams_are_asked_for_in_the_words_of_to_mermaid(drawing):
    asked = {name: default for name, default in options(drawing).items() if name not in ("self", "workflow")}
    assert asked
    assert asked.items() <= options(to_mermaid).items()
