"""Options of commands that come to nothing, because no worker ever runs them: warnings, where a registry is known."""

from collections.abc import Iterable, Iterator
from dataclasses import fields

from detent.definition.checks.commands import options_can_matter
from detent.definition.model import WorkflowDefinition
from detent.definition.walk import commands_among, each_series
from detent.problems import Problem
from detent.registry.registry import CommandOptions, CommandSpec, Registry

_OF_WORKERS = ("retry", "timeout", "queue", "priority")
_OF_DURABLE = "timeout"
"""What holds for a durable command alone; the others hold for all commands of a run."""
_DEFAULTS = {field.name: field.default for field in fields(CommandOptions)}


def idle_references(definition: WorkflowDefinition, registry: Registry) -> Iterator[Problem]:
    """A warning for each reference of `definition` that says something for workers which nothing heeds."""
    durable = {name for name, spec in registry.commands.items() if spec.options.durable}
    return options_can_matter(definition, registry.commands, durable)


def idle_options(definitions: Iterable[WorkflowDefinition], registry: Registry) -> Iterator[Problem]:
    """A warning for each command of these definitions that is registered with options which nothing heeds in any of them."""
    used, in_runs, durable = set[str](), set[str](), set[str]()
    for definition in definitions:
        for place, series in each_series(definition):
            placed = {(command.name, command.durable) for _, command in commands_among(place, series)}
            here = {name for name, said in placed if _is_durable(name, said, registry)}
            names = {name for name, _ in placed}
            used |= names
            durable |= here
            in_runs |= names if here else set()
    for name in sorted(used & registry.commands.keys()):
        heeded = set(_OF_WORKERS) if name in durable else set(_OF_WORKERS) - {_OF_DURABLE} if name in in_runs else set()
        idle = [option for option in _said(registry.commands[name]) if option not in heeded]
        if idle:
            yield _problem(name, idle)


def _is_durable(name: str, said: bool | None, registry: Registry) -> bool:
    spec = registry.commands.get(name)
    return said if said is not None else spec is not None and spec.options.durable


def _said(spec: CommandSpec) -> list[str]:
    """Those options for workers that are not left at their defaults."""
    return [name for name in _OF_WORKERS if getattr(spec.options, name) != _DEFAULTS[name]]


def _problem(name: str, idle: list[str]) -> Problem:
    options = " and ".join([", ".join(idle[:-1]), idle[-1]] if idle[1:] else idle)
    is_are = "are" if idle[1:] else "is"
    message = f"the {options} of command {name!r} {is_are} without effect, because the command is not durable"
    return Problem(
        f"commands.{name}",
        "option_without_durable",
        message,
        f'register it by @command("{name}", durable=True), or leave out {options}',
        severity="warning",
    )
