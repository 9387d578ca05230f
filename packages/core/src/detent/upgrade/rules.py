"""The rules of one upgrade: which version it leads to, which instances it is about, and what becomes of them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import TypeAlias

from detent.definition.version import version_key
from detent.errors import InvalidValue
from detent.json_values import JsonObject
from detent.machine.machine import Machine
from detent.problems import did_you_mean
from detent.runtime.machines import Machines
from detent.store.records import WorkflowInstance
from detent.upgrade.sources import Sources

TransformContext: TypeAlias = Callable[[JsonObject, WorkflowInstance], JsonObject]
"""Answers the context an instance has after the upgrade, given a copy of its context, and the instance as it was.

It is called once for each decision and may be called again for an instance that moved meanwhile, so it only computes.
"""


@dataclass(frozen=True, slots=True)
class Rules:
    """What was asked for, checked. The target is registered here; the source need not be."""

    target: Machine
    from_version: str | None = None
    """`None` for every older version."""
    state_mapping: Mapping[str, str] = field(default_factory=dict)
    transform_context: TransformContext | None = None
    states: tuple[str, ...] | None = None
    exclude_states: tuple[str, ...] = ()
    metadata: JsonObject = field(default_factory=dict)
    include_finished: bool = False

    @property
    def workflow(self) -> str:
        return self.target.workflow

    @property
    def version(self) -> str:
        """The version that instances are moved to."""
        return self.target.version

    def is_newer(self, version: str) -> bool:
        """Whether that version comes after the target."""
        return version_key(version) > self.target.definition.version_key

    def check(self, machines: Machines, sources: Sources) -> None:
        """Raise `InvalidValue` for what cannot be meant, before any instance is looked at."""
        if self.from_version == self.version:
            raise InvalidValue("from_version", f"is {self.version!r}, which is the version to upgrade to")
        _check_followed(machines.latest(self.workflow), self.version)
        _check_mapping(self.state_mapping, self.target)
        _check_transform(self.transform_context)
        known = sources.states(other_than=self.version, only=self.from_version)
        if known is not None:
            for path, names in self._states_named():
                _check_states(path, names, known)

    def _states_named(self) -> list[tuple[str, Collection[str]]]:
        return [
            ("state_mapping", self.state_mapping),
            ("states", self.states or ()),
            ("exclude_states", self.exclude_states),
        ]


def checked_version(given: object, path: str) -> str:
    """`given` as versions are stored. Raises `InvalidValue`."""
    text = str(given) if isinstance(given, int) and not isinstance(given, bool) else given
    if not isinstance(text, str):
        raise InvalidValue(path, f"is {given!r}, which is no version", hint="write it like 2 or '1.10.0'")
    try:
        version_key(text)
    except InvalidValue as error:
        raise InvalidValue(path, error.reason) from None
    return text


def checked_mapping(given: object) -> Mapping[str, str]:
    """`given` as a mapping from state to state. Raises `InvalidValue`."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidValue("state_mapping", "must map the states of the source to those of the target")
    if not all(isinstance(name, str) for pair in given.items() for name in pair):
        raise InvalidValue("state_mapping", "must map texts to texts")
    return dict(given)


def _check_followed(latest: Machine, version: str) -> None:
    if latest.definition.version_policy == "latest" and latest.version != version:
        reason = f"is {version!r}, and instances of {latest.workflow!r} follow version {latest.version} by its policy"
        raise InvalidValue("to_version", reason, hint="leave it out, or let the newest version be 'pinned'")


def _check_mapping(mapping: Mapping[str, str], target: Machine) -> None:
    for source, state in mapping.items():
        path = f"state_mapping.{source}"
        if not target.has_state(state):
            reason = f"is {state!r}, which version {target.version} of {target.workflow!r} does not have"
            raise InvalidValue(path, reason, hint=did_you_mean(state, target.definition.states))
        if target.entry(state) is not None:
            reason = f"is {state!r}, which has an on_enter in version {target.version}; an upgrade runs none"
            hint = "map to a state that waits, or use force, which enters a state like an event does"
            raise InvalidValue(path, reason, hint=hint)


def _check_transform(transform: object) -> None:
    if transform is None:
        return
    if not callable(transform):
        raise InvalidValue("transform_context", f"is a {type(transform).__name__} and cannot be called")
    if iscoroutinefunction(transform):
        raise InvalidValue("transform_context", "is asynchronous", hint="it only computes: write a plain function")


def _check_states(path: str, names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            reason = f"names {name!r}, which is a state of no version to upgrade from"
            raise InvalidValue(path, reason, hint=did_you_mean(name, known))
