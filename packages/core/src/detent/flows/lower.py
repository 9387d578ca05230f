"""Lowering: a flow as a definition. Each step is a state whose entry runs its handler durably, so that each ends a commit.

Beside the state of a step stands one in which it waits. What a handler may decide beside success and failure are events, which it
takes by a `Goto`; nobody else can, because a run is under way in such a state for as long as the flow is in it.
"""

from collections.abc import Mapping
from typing import Any

from detent.definition.commands import CommandRef
from detent.definition.event import Branch, Event
from detent.definition.model import WorkflowDefinition
from detent.definition.state import OnEnter, State
from detent.definition.timeout import Timeout
from detent.flows.checks import targets_of
from detent.flows.errors import FlowInvalid
from detent.flows.flow import Flow, Step
from detent.flows.handler import HandlerSpec, any_step
from detent.flows.names import (
    CHILD,
    CHILD_ENDED,
    EXPIRE,
    EXPIRED,
    FAIL,
    FINISH,
    IS_CHILD_FAILED,
    IS_OTHER_CHILD,
    OWN,
    RESUME,
    RESUMED,
    WAIT,
    WAIT_TIMEOUT,
    WAKE,
    command_of,
    end,
    goto,
    waiting,
)
from detent.retry import Retry

_UNTIL_TOLD = Retry(attempts=1_000_000)
"""Which attempt of a step is the last is decided where it is made: only there it is known why it failed."""


_DEADLINE = Timeout(at=f"{OWN}.deadline", interrupts=True, optional=True)


def lower(flow: Flow, handlers: Mapping[str, HandlerSpec]) -> WorkflowDefinition:
    """The definition that runs `flow`, which has been checked; the flow itself is in its metadata."""
    completed, failed, cancelled = (end(name, flow.steps) for name in ("completed", "failed", "cancelled"))
    states: dict[str, State] = {}
    for id_, step in flow.steps.items():
        well, badly = step.on_success or completed, step.on_failure or failed
        choices = _choices(flow, id_, step, handlers[step.type], (completed, failed, cancelled))
        states[id_] = State(
            on_enter=OnEnter(target=well, error=badly, commands=[_command(flow, id_, step, list(choices))]),
            events=choices,
            tags=step.tags,
            metadata={"step": id_, "name": step.name} if step.name else {"step": id_},
            description=step.description,
        )
        states[waiting(id_)] = _waiting(id_, step, on_resume=step.on_resume or well, badly=badly, end=cancelled)
    states[completed] = State(outcome="success")
    states[failed] = State(outcome="failure")
    states[cancelled] = State(outcome="cancelled")
    return WorkflowDefinition(
        name=flow.id,
        version=flow.version,
        initial_state=flow.initial_step_id,
        states=states,
        publish=flow.publish,
        description=flow.description,
        metadata={"flow": flow.to_dict()},
    )


def flow_in(metadata: Mapping[str, Any]) -> Flow | None:
    """The flow that a definition with this metadata was lowered from; `None` where it was none that can be read here."""
    written = metadata.get("flow")
    if not isinstance(written, Mapping):
        return None
    try:
        return Flow.from_dict(written)
    except FlowInvalid:
        return None


def _command(flow: Flow, id_: str, step: Step, choices: list[str]) -> CommandRef:
    written = step.model_dump(mode="json", exclude_defaults=True)
    told = {"step": id_, "steps": flow.max_steps, "version": flow.version, "choices": choices, "written": written}
    return CommandRef(command_of(step.type), metadata=told, retry=_UNTIL_TOLD, durable=True)


def _choices(flow: Flow, id_: str, step: Step, spec: HandlerSpec, ends: tuple[str, str, str]) -> dict[str, Event]:
    completed, failed, cancelled = ends
    choices = {
        WAIT: Event(target=waiting(id_)),
        FAIL: Event(target=failed),
        # A handler that runs into the deadline takes it himself; of one that nobody has, or that is parked, the timeout does.
        EXPIRE: Event(target=cancelled, commands=[_too_late("execution")], timeout=_DEADLINE),
    }
    if spec.targets is not None:
        choices[FINISH] = Event(target=completed)
        named = flow.steps if spec.targets is any_step else sorted(targets_of(spec, step.config))
        choices |= {goto(target): Event(target=target) for target in named}
    return choices


def _too_late(what: str) -> CommandRef:
    return CommandRef(EXPIRED, metadata={"reason": f"the {what} took too long"})


def _waiting(id_: str, step: Step, *, on_resume: str, badly: str, end: str) -> State:
    told = {"step": id_, "output_key": step.output_key or id_}
    return State(
        events={
            RESUME: Event(target=on_resume, commands=[CommandRef(RESUMED, metadata=told)]),
            WAKE: Event(target=on_resume, timeout=Timeout(at=f"{OWN}.wake")),
            CHILD_ENDED: Event(
                branches=[
                    # One that nobody waits for any more is heard, and changes nothing.
                    Branch(guard=IS_OTHER_CHILD, target=waiting(id_)),
                    Branch(guard=IS_CHILD_FAILED, target=badly),
                ],
                target=on_resume,
                error=badly,
                commands=[CommandRef(CHILD, metadata=told)],
            ),
            WAIT_TIMEOUT: Event(target=end, commands=[_too_late("wait")], timeout=Timeout(at=f"{OWN}.wait_deadline")),
            EXPIRE: Event(target=end, commands=[_too_late("execution")], timeout=_DEADLINE),
        },
        tags=step.tags,
        metadata={"step": id_, "waits": True},
    )
