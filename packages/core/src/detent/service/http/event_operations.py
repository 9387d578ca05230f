"""Each event of each workflow as an operation of its own, so that OpenAPI tells what payload it takes."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence

from detent.definition.model import WorkflowDefinition
from detent.errors import InstanceNotFound
from detent.json_values import JsonObject
from detent.service.http import answers
from detent.service.http.answers import NOTHING_MORE, Answer
from detent.service.http.ask import Ask
from detent.service.http.inlining import inlined
from detent.service.http.operation import Answers, Operation
from detent.service.http.operations import ACCEPTED, OPERATIONS, OPERATOR_OPERATIONS, TRIGGER_OPERATIONS, WRITE
from detent.service.http.parameters import IfMatch, InstanceId, KeyOfEvent
from detent.service.schemas import TransitionView, TriggeredEvent

_SAFE = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.~-]+")
_NO_WORD = re.compile(r"\W+", re.ASCII)
_OWN = "$"
"""How the names of Detent's own events begin."""
_OWN_WORKFLOWS = "detent."


def event_operations(definitions: Iterable[WorkflowDefinition]) -> Iterator[Operation]:
    """`POST /{workflow}/{instance_id}/events/{event}` for each event, over all versions of each workflow.

    Names that are no segments of a path, or that another one has already, are spelled otherwise there, always alike.
    """
    versions: dict[str, list[WorkflowDefinition]] = {}
    for definition in definitions:
        versions.setdefault(definition.name, []).append(definition)
    tables = (*OPERATIONS.values(), *OPERATOR_OPERATIONS.values(), *TRIGGER_OPERATIONS.values())
    workflows = _spelled((name for name in versions if not name.startswith(_OWN_WORKFLOWS)), _first_segments(tables))
    ids = set(OPERATIONS) | set(OPERATOR_OPERATIONS) | set(TRIGGER_OPERATIONS)
    for workflow, segment in workflows.items():
        schemas = _payloads(versions[workflow])
        for event, last in _spelled(schemas, set()).items():
            named = _free(_NO_WORD.sub("_", f"{segment}_{last}"), f"{workflow}/{event}", ids)
            yield _operation(workflow, event, f"/{segment}/{{instance_id}}/events/{last}", named, schemas[event])


def _operation(workflow: str, event: str, path: str, named: str, schemas: Sequence[JsonObject | None]) -> Operation:
    return Operation(
        "POST", path, _taking(workflow, event), "event", f"Take {event} of {workflow}",
        WRITE, {202: ACCEPTED}, OPERATIONS["trigger_event"].headers,
        named=named, told=OPERATIONS["trigger_event"].description, event=event, body_schema=_body(schemas),
    )  # fmt: skip


def _taking(workflow: str, event: str) -> Answers:
    async def take(
        ask: Ask,
        instance_id: InstanceId,
        asked: TriggeredEvent = NOTHING_MORE,
        idempotency_key: KeyOfEvent = None,
        if_match: IfMatch = None,
    ) -> Answer[TransitionView]:
        instance = await ask.service.get_instance(instance_id)
        if instance.workflow != workflow:
            raise InstanceNotFound(instance_id)
        return await answers.trigger_event(ask, instance_id, event, asked, idempotency_key, if_match)

    return take


def _payloads(versions: Iterable[WorkflowDefinition]) -> dict[str, list[JsonObject | None]]:
    """What payload each event wants, wherever it is declared; `None` for any."""
    found: dict[str, list[JsonObject | None]] = {}
    for definition in versions:
        for state in definition.states.values():
            for name, event in state.events.items():
                if name.startswith(_OWN):
                    continue
                wanted = found.setdefault(name, [])
                schema = None if event.payload is None else event.payload.json_schema
                if schema not in wanted:
                    wanted.append(schema)
    return found


def _body(schemas: Sequence[JsonObject | None]) -> JsonObject:
    """The schema of a body with one of these payloads."""
    shown: JsonObject = TriggeredEvent.model_json_schema()
    known = [inlined(schema) for schema in schemas if schema is not None]
    if len(known) == len(schemas):
        shown["properties"]["payload"] = known[0] if len(known) == 1 else {"anyOf": known}
        shown["required"] = ["payload"]
    return shown


def _first_segments(operations: Iterable[Operation]) -> set[str]:
    return {operation.path.split("/")[1] for operation in operations}


def _spelled(names: Iterable[str], taken: set[str]) -> dict[str, str]:
    """How each name is spelled as one segment of a path. Those that are segments as they are come first."""
    listed = sorted(names, key=lambda name: (_SAFE.fullmatch(name) is None, name))
    return {name: _free(_segment(name), name, taken) for name in listed}


def _segment(name: str) -> str:
    return name if _SAFE.fullmatch(name) else _UNSAFE.sub("-", name).strip("-.")


def _free(wanted: str, name: str, taken: set[str]) -> str:
    """`wanted`, or where that is taken or nothing, the same with a hash of the full name; taken from now on."""
    found = wanted
    if not wanted or wanted in taken:
        found = f"{wanted}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".lstrip("-")
    taken.add(found)
    return found
