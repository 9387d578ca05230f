"""What can be wrong with a flow, found all at once."""

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from detent.definition.shape import shape_problems
from detent.flows.errors import FlowInvalid
from detent.flows.flow import Flow, Step
from detent.flows.handler import HandlerSpec
from detent.flows.names import ERROR, OWN, waiting
from detent.problems import Problem, did_you_mean

MAX_LENGTH = 150
"""How many characters the id of a step may have: states and events are named after it."""
_UNSAFE = frozenset({"__proto__", "constructor", "prototype"})


def check_flow(flow: Flow, handlers: Mapping[str, HandlerSpec]) -> list[Problem]:
    """Everything that is wrong with `flow`; of these, warnings do not refuse it."""
    problems = [*_ids(flow), *_initial(flow), *_reachability(flow, handlers)]
    for id_, step in flow.steps.items():
        problems += [*_transitions(flow, id_, step), *_output(id_, step), *_handler(flow, id_, step, handlers)]
    if flow.pipes:
        problems.append(_warning("pipes", "pipes_ignored", "its pipes write to tables, and there are none here"))
    return problems


def require_valid(flow: Flow, handlers: Mapping[str, HandlerSpec]) -> list[Problem]:
    """The warnings about `flow`. Raises `FlowInvalid` with all problems, where one of them is an error."""
    problems = check_flow(flow, handlers)
    if any(problem.severity == "error" for problem in problems):
        raise FlowInvalid(flow.id, problems)
    return problems


def _ids(flow: Flow) -> Iterator[Problem]:
    if not flow.id.strip():
        yield Problem("id", "blank_name", "the id of the flow is blank")
    if not flow.steps:
        yield Problem("steps", "no_steps", "there are no steps")
    names = {waiting(id_): id_ for id_ in flow.steps}
    for id_, step in flow.steps.items():
        path = f"steps.{id_}"
        if step.id is not None and step.id != id_:
            yield Problem(f"{path}.id", "id_mismatch", f"the step stands under {id_!r} and calls itself {step.id!r}")
        if not id_.strip() or id_.startswith("$") or len(id_) > MAX_LENGTH:
            hint = f"up to {MAX_LENGTH} characters, the first of them not $"
            yield Problem(path, "bad_step_id", f"a step cannot be called {id_[:40]!r}", hint)
        if id_ in names:
            yield Problem(path, "bad_step_id", f"{id_!r} is what the wait of {names[id_]!r} is called")


def _initial(flow: Flow) -> Iterator[Problem]:
    if flow.steps and flow.initial_step_id not in flow.steps:
        yield _unknown("initial_step_id", flow.initial_step_id, flow)


def _transitions(flow: Flow, id_: str, step: Step) -> Iterator[Problem]:
    for name in ("on_success", "on_failure", "on_resume"):
        target = getattr(step, name)
        if target is not None and target not in flow.steps:
            yield _unknown(f"steps.{id_}.{name}", target, flow)


def _output(id_: str, step: Step) -> Iterator[Problem]:
    if step.output_key is None:
        return
    path, keys = f"steps.{id_}.output_key", step.output_key.split(".")
    if "" in keys:
        yield Problem(path, "bad_output_path", f"{step.output_key!r} is not a path", "write keys joined by dots")
    elif keys[0] in (OWN, ERROR) or _UNSAFE & set(keys):
        yield Problem(
            path, "bad_output_path", f"{step.output_key!r} is not a place for an output", "choose another key"
        )


def _handler(flow: Flow, id_: str, step: Step, handlers: Mapping[str, HandlerSpec]) -> Iterator[Problem]:
    spec = handlers.get(step.type)
    if spec is None:
        hint = did_you_mean(step.type, handlers) or "register it"
        yield Problem(f"steps.{id_}.type", "unknown_handler", f"no handler {step.type!r} is registered", hint)
        return
    for problem in _config_problems(spec, step):
        path = f"steps.{id_}.config" + (f".{problem.path}" if problem.path else "")
        yield Problem(path, "bad_config", problem.message, problem.hint)
    for target in sorted(targets_of(spec, step)):
        if target not in flow.steps:
            yield _unknown(f"steps.{id_}.config", target, flow)


def targets_of(spec: HandlerSpec, step: Step) -> set[str]:
    """The steps that a handler says it may go to; none where its config is not as the model allows it."""
    if spec.targets is None or _config_problems(spec, step):
        return set()
    return set(spec.targets(step.config))


def _config_problems(spec: HandlerSpec, step: Step) -> list[Problem]:
    if spec.config_model is None:
        return []
    try:
        spec.config_model.model_validate(step.config)
    except ValidationError as error:
        return shape_problems(error)
    return []


def _reachability(flow: Flow, handlers: Mapping[str, HandlerSpec]) -> Iterator[Problem]:
    if flow.initial_step_id not in flow.steps:
        return
    found, left = set[str](), [flow.initial_step_id]
    while left:
        id_ = left.pop()
        if id_ in found:
            continue
        found.add(id_)
        left += [target for target in _next_steps(flow, id_, handlers) if target in flow.steps]
    for id_ in flow.steps:
        if id_ not in found:
            message = f"no transition leads from {flow.initial_step_id!r} to {id_!r}"
            yield _warning(f"steps.{id_}", "unreachable_step", message)


def _next_steps(flow: Flow, id_: str, handlers: Mapping[str, HandlerSpec]) -> list[str]:
    step, spec = flow.steps[id_], handlers.get(flow.steps[id_].type)
    said = [target for target in (step.on_success, step.on_failure, step.on_resume) if target is not None]
    return said if spec is None else [*said, *targets_of(spec, step)]


def _unknown(path: str, target: str, flow: Flow) -> Problem:
    return Problem(path, "unknown_step", f"there is no step {target!r}", did_you_mean(target, flow.steps))


def _warning(path: str, code: str, message: str) -> Problem:
    return Problem(path, code, message, severity="warning")
