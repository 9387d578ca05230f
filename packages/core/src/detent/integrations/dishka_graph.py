"""Reads the graph of a dishka container: can a key be had where commands run, before anything is made?

dishka checks at `make_async_container` that factories exist for what factories need. It does not know what will be asked
of the container, which values its scopes will be opened with, and which `when=` conditions will then hold. Steps are
opened with known values, so all three can be answered at start-up: an object that needs the web request, for one, cannot
be made in a step.

All that is known of dishka's insides is in this file: registries, factories, and the markers of conditions. What cannot
be known before the step (an activator of the application's own) counts as possible: a false alarm at start-up would be
worse than an error later.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dishka import AsyncContainer, BaseScope, DependencyKey, Has
from dishka.dependency_source import Factory
from dishka.entities.component import Component
from dishka.entities.factory_type import FactoryType
from dishka.entities.marker import AndMarker, BaseMarker, BoolMarker, HasContext, NotMarker, OrMarker
from dishka.registry import Registry
from dishka.text_rendering import get_name

from detent.problems import near_misses


@dataclass(frozen=True, slots=True)
class _Room:
    """One scope, as it will be when a command runs."""

    registry: Registry
    opened_with: type | None
    """The type of the only value in its context; `None` for the scopes that are open already."""

    @property
    def name(self) -> str:
        return str(self.registry.scope.name)


class Graph:
    """What can be made in the innermost of the scopes `opened`, each of which is entered with one value of its type.

    Raises `ValueError` when they cannot be entered from `container`.
    """

    def __init__(self, container: AsyncContainer, opened: Mapping[BaseScope, type]) -> None:
        self._rooms = [*_open_rooms(container), *_rooms_inside(container, opened)]
        entered = {room.registry.scope for room in self._rooms if room.opened_with}
        if missing := [scope.name for scope in opened if scope not in entered]:
            raise ValueError(
                f"{' and '.join(missing)} cannot be entered from a container of scope {container.scope.name}; "
                "pass what make_async_container answered"
            )
        self._beyond = list(_chain(self._rooms[-1].registry.child_registry))

    def mentions(self, key: DependencyKey) -> bool:
        """Whether a provider has the key, in whatever scope."""
        return any(registry.get_factory(key) for registry in (*(room.registry for room in self._rooms), *self._beyond))

    def why_not(self, key: DependencyKey) -> str | None:
        """Why the key can surely not be had; `None` when nothing speaks against it."""
        return self._lack(key, len(self._rooms) - 1, ())

    def _lack(self, key: DependencyKey, level: int, path: tuple[DependencyKey, ...]) -> str | None:
        if key in path or key.is_const() or key.is_type_var() or key.type_hint is DependencyKey:
            return None
        path = (*path, key)
        found = self._find(key, level)
        if found is None:
            return f"{_trail(path)}: {self._nowhere(key, level)}"
        factory, level = found
        if factory.type is FactoryType.CONTEXT:
            return None if self._is_given(factory, level) else f"{_trail(path)}: {self._not_given(level)}"
        lacks = [self._lack(variant.provides, level, path) for variant in self._variants(factory, level)]
        if None in lacks or factory.type is FactoryType.COLLECTION:
            return None
        if factory.type is FactoryType.SELECTOR:
            return lacks[0] if lacks else f"{_trail(path)}: none of its providers is active in a step"
        needs = (*factory.dependencies, *factory.kw_dependencies.values())
        return next((lack for need in needs if (lack := self._lack(need, level, path))), None)

    def _find(self, key: DependencyKey, level: int) -> tuple[Factory, int] | None:
        """Looks as containers do: in the scope itself, then in those around it."""
        for outer in range(level, -1, -1):
            if factory := self._rooms[outer].registry.get_factory(key):
                return factory, outer
        return None

    def _variants(self, factory: Factory, level: int) -> Iterator[Factory]:
        """What may be taken in its place, up to the first that surely is."""
        for variant in factory.when_dependencies:
            active = self._holds(variant.when_override, factory.when_component, level)
            if active is not False:
                yield variant
            if active:
                return

    def _is_given(self, factory: Factory, level: int) -> bool:
        if factory.provides.type_hint is AsyncContainer:
            return True
        return self._holds(factory.when_active, factory.when_component, level) is not False

    def _holds(self, condition: BaseMarker | None, component: Component | None, level: int) -> bool | None:
        """Whether a condition holds in a step; `None` when that cannot be known yet."""
        match condition:
            case None:
                return True
            case BoolMarker():
                return condition.value
            case NotMarker():
                held = self._holds(condition.marker, component, level)
                return None if held is None else not held
            case AndMarker() | OrMarker():
                parts = {self._holds(part, component, level) for part in (condition.left, condition.right)}
                decisive = isinstance(condition, OrMarker)
                return decisive if decisive in parts else None if None in parts else not decisive
            case HasContext():
                opened_with = self._rooms[level].opened_with
                return None if opened_with is None else condition.value is opened_with
            case Has():
                found = self._find(DependencyKey(condition.value, component), level)
                return self._holds(found[0].when_active, found[0].when_component, found[1]) if found else False
        return None

    def _not_given(self, level: int) -> str:
        room = self._rooms[level]
        if room.opened_with is None:
            return f"the context of {room.name} has none"
        return f"it comes from the context of {room.name}, and a step has only its {room.opened_with.__name__} there"

    def _nowhere(self, key: DependencyKey, level: int) -> str:
        inner = [room.registry for room in self._rooms[level + 1 :]] + self._beyond
        if deeper := next((registry.scope.name for registry in inner if registry.get_factory(key)), None):
            return f"it is provided in {deeper}, inside {self._rooms[level].name} where it is needed"
        known = [known for room in self._rooms for known in room.registry.factories if _is_public(known)]
        if elsewhere := [known.component for known in known if known.type_hint == key.type_hint]:
            return f"it is provided in the component {elsewhere[0]!r}: Annotated[..., FromComponent({elsewhere[0]!r})]"
        near = _near(key.type_hint, [known.type_hint for known in known if known.component == key.component])
        return "no provider has it" + (f", only {' and '.join(near)}" if near else "") + _who_would(key.type_hint)


def _open_rooms(container: AsyncContainer) -> list[_Room]:
    around = _open_rooms(container.parent_container) if container.parent_container else []
    return [*around, _Room(container.registry, opened_with=None)]


def _rooms_inside(container: AsyncContainer, opened: Mapping[BaseScope, type]) -> Iterator[_Room]:
    """The scopes from there to the last of `opened`. dishka opens those that are passed through with the same value."""
    for registry in _chain(container.registry.child_registry):
        value = next((opened[scope] for scope in sorted(opened, key=_order) if scope >= registry.scope), None)
        if value is None:
            return
        yield _Room(registry, value)


def _chain(registry: Registry | None) -> Iterator[Registry]:
    while registry is not None:
        yield registry
        registry = registry.child_registry


def _order(scope: BaseScope) -> int:
    return int(scope.order)


def _is_public(key: DependencyKey) -> bool:
    """Whether an application may ask for it: neither a marker nor what a decorator or a condition has moved aside."""
    return key.depth == 0 and not key.is_marker() and key.type_hint is not AsyncContainer


def _near(wanted: Any, known: Iterable[Any]) -> list[str]:
    """The known types that are related to the one that is wanted, or else named like it."""
    hints = list(known)
    related = [_name(hint) for hint in hints if wanted in _bases(hint) or hint in _bases(wanted)]
    return related or list(near_misses(_name(wanted), map(_name, hints)))


def _bases(hint: Any) -> tuple[Any, ...]:
    return tuple(base for base in getattr(hint, "__mro__", ()) if base is not object)


def _trail(path: Iterable[DependencyKey]) -> str:
    """The way to what is missing: `ChargeCard needs Ledger needs Request`."""
    return " needs ".join(_name(key.type_hint) for key in path if key.depth == 0)


def _name(hint: Any) -> str:
    return str(get_name(hint, include_module=False)).rpartition("<locals>.")[2]


def _who_would(wanted: object) -> str:
    """Who is usually forgotten: the provider of the sessions of steps lives in another package."""
    module = getattr(wanted, "__module__", "")
    return "; PgWorkflowProvider of detent_pg.dishka has those of steps" if module.startswith("sqlalchemy.") else ""
