"""What can be wrong with a flow, found all at once."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from pydantic import TypeAdapter, ValidationError

from detent.definition.selector_checks import selector_problems
from detent.definition.selectors import PLACE, Selector
from detent.definition.shape import shape_problems, with_near_misses
from detent.definition.spelling import spellings_of
from detent.flows.errors import FlowInvalid
from detent.flows.flow import Flow, Step, StepSelector
from detent.flows.handler import Handlers, HandlerSpec, Performed, any_step, performed
from detent.flows.names import ERROR, OWN, waiting
from detent.json_values import JsonObject, JsonValue
from detent.problems import Problem, did_you_mean

MAX_LENGTH = 150
"""How many characters the id of a step may have: states and events are named after it."""
_CONFIGURED = {
    "email": "it needs a server, so that none is there by itself: all_handlers(EmailHandler(host, sender=…))"
}
"""How to get the handlers that come with Detent and that nobody can have who says nothing of them."""
_SELECTOR: TypeAdapter[Selector] = TypeAdapter(StepSelector)
_UNSAFE = frozenset({"__proto__", "constructor", "prototype"})


def check_flow(flow: Flow, handlers: Iterable[Any] | Mapping[str, HandlerSpec]) -> list[Problem]:
    """Everything that is wrong with `flow`; of these, warnings do not refuse it.

    `handlers` are what a `FlowBook` takes as such, or has; or handlers by their type. Raises `RegistrationInvalid`.
    """
    known = handlers if isinstance(handlers, Mapping) else Handlers(handlers).types
    problems = [*_ids(flow), *_initial(flow), *_reachability(flow, known)]
    for id_, step in flow.steps.items():
        problems += [*_transitions(flow, id_, step), *_input(id_, step), *_output(id_, step), *_retry(id_, step)]
        problems += [*_handler(flow, id_, step, known)]
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


def _input(id_: str, step: Step) -> Iterator[Problem]:
    if step.input is not None:
        yield from selector_problems(step.input, f"steps.{id_}.input")


def _retry(id_: str, step: Step) -> Iterator[Problem]:
    if step.retry is not None and step.retry.backoff_ms > step.retry.max_backoff_ms:
        longest = step.retry.max_backoff_ms
        said = f"backoff_ms is {step.retry.backoff_ms}, and no delay is longer than max_backoff_ms, which is {longest}"
        yield _warning(f"steps.{id_}.retry", "backoff_capped", said, hint="raise max_backoff_ms")


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
    path = f"steps.{id_}"
    if spec is None:
        yield _unknown_handler(f"{path}.type", step.type, handlers)
        return
    yield from _config(f"{path}.config", spec, step.config)
    yield from _unfilled(f"{path}.config", step.config)
    yield from _without_input(f"{path}.input", spec, step)
    for target, place in sorted(_places_of_targets(spec, step.config).items()):
        if target not in flow.steps:
            yield _unknown(f"{path}.config.{place}" if place else f"{path}.config", target, flow)
    yield from _performed(f"{path}.config", spec, step.config, handlers)


def _config(path: str, spec: HandlerSpec, config: JsonObject) -> Iterator[Problem]:
    for problem in _config_problems(spec, config):
        yield Problem(f"{path}.{problem.path}" if problem.path else path, "bad_config", problem.message, problem.hint)


def _unfilled(path: str, config: JsonValue) -> Iterator[Problem]:
    """The places of templates that nobody fills in, because they do not stand in a template."""
    if isinstance(config, dict):
        for key, value in config.items():
            if key != "template":
                yield from _unfilled(f"{path}.{key}", value)
    elif isinstance(config, list):
        for index, value in enumerate(config):
            yield from _unfilled(f"{path}[{index}]", value)
    elif isinstance(config, str) and any(place[1] for place in PLACE.finditer(config)):
        yield _warning(path, "config_not_filled_in", "`${…}` in config is not filled in", hint="use input")


def _without_input(path: str, spec: HandlerSpec, step: Step) -> Iterator[Problem]:
    if step.input is not None or spec.needs_input is None or _config_problems(spec, step.config):
        return
    lacking = spec.needs_input(step.config)
    if lacking is not None:
        hint = 'input={"full": True} hands on the whole context, a path or a template a part of it'
        yield Problem(path, "missing_input", f"{step.type!r} needs {lacking}, and gets nothing", hint)


def _performed(
    path: str, spec: HandlerSpec, config: JsonObject, handlers: Mapping[str, HandlerSpec]
) -> Iterator[Problem]:
    """What is wrong with the handlers that this one performs, where its config is not as a whole."""
    if _config_problems(spec, config):
        return
    for one in performed(spec, config):
        inner, where = handlers.get(one.type), f"{path}.{one.field}"
        if inner is None:
            yield _unknown_handler(f"{where}.type", one.type, handlers)
            continue
        yield from _config(f"{where}.config", inner, one.config)
        yield from _selected_inside(f"{where}.input", config[one.field])
        yield from _unfit(where, spec, config, inner, one)
        yield from _performed(f"{where}.config", inner, one.config, handlers)


def _selected_inside(path: str, written: JsonValue) -> Iterator[Problem]:
    """What is wrong with the selector of a handler that is performed, where it has one that can be read."""
    selector = written.get("input") if isinstance(written, dict) else None
    with suppress(ValidationError):
        if selector is not None:
            yield from selector_problems(_SELECTOR.validate_python(selector), path)


def _unfit(path: str, spec: HandlerSpec, config: JsonObject, inner: HandlerSpec, one: Performed) -> Iterator[Problem]:
    """Why a handler cannot be performed inside `spec`, though there is nothing wrong with it otherwise."""
    if any(asked.default is asked.empty for asked in inner.injected.values()):
        yield Problem(path, "unfit_handler", f"{one.type!r} needs the container, and is for steps only")
    if waits_of(inner, one.config) and not waits_of(spec, config):
        hint = "let a sub_flow do what waits, without waiting for it"
        yield Problem(path, "unfit_handler", f"{one.type!r} waits, and {spec.type!r} is no place for that", hint)
    if spec.targets is not None or inner.targets is None:
        return
    if inner.targets is any_step:
        said = f"{one.type!r} may go to other steps, and {spec.type!r} is no place for that"
        yield _warning(path, "unfit_handler", said, hint="write targets=False where it never does")
    else:
        said = f"{one.type!r} goes to other steps, and {spec.type!r} is no place for that"
        yield Problem(path, "unfit_handler", said)


def targets_of(spec: HandlerSpec, config: JsonObject) -> set[str]:
    """The steps that a handler says it may go to; none where its config is not as the model allows it."""
    return set(_places_of_targets(spec, config))


def _places_of_targets(spec: HandlerSpec, config: JsonObject) -> dict[str, str]:
    """The same with the place in the config where each is named, where the handler says it."""
    if spec.targets is None or _config_problems(spec, config):
        return {}
    named = spec.targets(config)
    return dict(named) if isinstance(named, Mapping) else dict.fromkeys(named, "")


def waits_of(spec: HandlerSpec, config: JsonObject) -> bool:
    """Whether a handler says that it may wait; not where its config is not as the model allows it."""
    if isinstance(spec.waits, bool):
        return spec.waits
    return not _config_problems(spec, config) and spec.waits(config)


def types_of(flow: Flow, handlers: Mapping[str, HandlerSpec]) -> set[str]:
    """The types of all handlers that `flow` needs: those of its steps, and those that they perform."""
    found = set[str]()
    left = [(step.type, step.config) for step in flow.steps.values()]
    while left:
        type_, config = left.pop()
        found.add(type_)
        spec = handlers.get(type_)
        left += [] if spec is None else [(one.type, one.config) for one in performed(spec, config)]
    return found


def _config_problems(spec: HandlerSpec, config: JsonObject) -> list[Problem]:
    if spec.config_model is None:
        return []
    try:
        spec.config_model.model_validate(config)
    except ValidationError as error:
        return shape_problems(with_near_misses(error, spellings_of(spec.config_model)))
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
    return said if spec is None else [*said, *targets_of(spec, step.config)]


def _unknown(path: str, target: str, flow: Flow) -> Problem:
    return Problem(path, "unknown_step", f"there is no step {target!r}", did_you_mean(target, flow.steps))


def _unknown_handler(path: str, type_: str, handlers: Mapping[str, HandlerSpec]) -> Problem:
    hint = _CONFIGURED.get(type_) or did_you_mean(type_, handlers) or "register it"
    return Problem(path, "unknown_handler", f"no handler {type_!r} is registered", hint)


def _warning(path: str, code: str, message: str, *, hint: str | None = None) -> Problem:
    return Problem(path, code, message, hint, severity="warning")
