"""Modules: the workflows of an application in parts that stand by themselves, and what several parts come to together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, TypeAlias, TypeVar

from dishka.provider import BaseProvider

from detent.definition.model import WorkflowDefinition
from detent.errors import RegistrationInvalid
from detent.flows.book import FlowBook
from detent.registry.registry import Registry
from detent.runtime.observers import WorkflowObserver
from detent.runtime.retention_policy import RetentionPolicy
from detent.runtime.subscribers import Subscribers

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class WorkflowModule:
    """A part of an application's workflows, with all that it needs: `WorkflowConfig(modules=[billing, shipping])`.

    ```python
    billing = WorkflowModule("billing", definitions=[INVOICE], commands=[charge], providers=[BankProvider()])
    shipping = WorkflowModule("shipping", definitions=[PARCEL], commands=[send], imports=[billing])
    ```

    One that several others import counts once, and so does any object that several bring. Two different definitions of one
    name and version, or commands, guards, subscribers or modules of one name, are refused where the application is made:
    `RegistrationInvalid` names both that bring it.
    """

    name: str
    """What errors call it; each module has its own."""
    _: KW_ONLY
    definitions: Sequence[WorkflowDefinition] = ()
    """Its workflows, in as many versions as are still in use."""
    commands: Sequence[Any] = ()
    """What `@command` marked, or `Registry` objects."""
    guards: Sequence[Any] = ()
    """What `@guard` marked."""
    observers: Sequence[WorkflowObserver] = ()
    """Told after each commit, of every workflow of the runtime."""
    subscribers: Sequence[Any] = ()
    """What `@subscriber` marked."""
    retention: Sequence[RetentionPolicy] = ()
    """How long its instances and their history are kept."""
    flows: FlowBook | None = None
    """Its flows and their handlers. One runtime has one book: where several modules have flows, they share theirs."""
    providers: Sequence[BaseProvider] = ()
    """What the private container provides because of it. A container of the application's own is given
    `providers_of(billing, shipping)`.
    """
    imports: Sequence["WorkflowModule"] = ()
    """The modules that it cannot do without; they come along with it."""


BROUGHT = tuple(field.name for field in fields(WorkflowModule) if field.name not in ("name", "imports"))
"""What a module may bring; a configuration has the same fields."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a module brings, and who brings it, in words."""

    by: str
    module: WorkflowModule


def providers_of(*modules: WorkflowModule) -> list[BaseProvider]:
    """The providers of these modules and of those they import, each once, for `make_async_container(*providers_of(...), ...)`.

    Raises `RegistrationInvalid` where two of the modules have one name.
    """
    return _each_once(part.module.providers for part in _imported(modules, "providers_of()", {}))


def united(parts: Iterable[Part]) -> WorkflowModule:
    """All parts, and the modules that they import, as one. Raises `RegistrationInvalid` where two bring different things under
    one name.
    """
    every = list(_with_imports(parts))
    _check(every)
    modules = [part.module for part in every]
    lists = {name: _each_once(getattr(module, name) for module in modules) for name in BROUGHT if name != "flows"}
    return WorkflowModule(
        "", **lists, flows=next((module.flows for module in modules if module.flows is not None), None)
    )


_Known: TypeAlias = dict[str, tuple[WorkflowModule, str]]
"""The modules that were met, by name, each with who imports it."""


def _with_imports(parts: Iterable[Part]) -> Iterator[Part]:
    known: _Known = {}
    for part in parts:
        yield from _imported(part.module.imports, part.by, known)
        yield part


def _imported(modules: Iterable[WorkflowModule], by: str, known: _Known) -> Iterator[Part]:
    """The modules that `by` imports, those they import before them."""
    for module in modules:
        met = known.setdefault(module.name, (module, by))
        if met[0] is not module:
            importers = f"{by} imports" if met[1] == by else f"{met[1]} and {by} import"
            reason = f"{importers} different modules of this name"
            raise RegistrationInvalid(
                module.name, reason, hint="rename one; where it is one and the same, import the same object"
            )
        if met[1] == by:
            yield from _imported(module.imports, f"module {module.name!r}", known)
            yield Part(f"module {module.name!r}", module)


def _each_once(lists: Iterable[Iterable[T]]) -> list[T]:
    return list({id(thing): thing for things in lists for thing in things}.values())


def _check(parts: Iterable[Part]) -> None:
    """Raise `RegistrationInvalid` for the first name under which two parts bring different things."""
    known: dict[tuple[str, str], tuple[object, str]] = {}
    for part in parts:
        for kind, name, thing in _brought(part):
            first, by = known.setdefault((kind, name), (thing, part.by))
            if first != thing:
                what = kind if kind == _BOOKS else f"{kind} of this name"
                reason = f"{by} and {part.by} bring different {what}"
                raise RegistrationInvalid(name, reason, hint=_HINTS.get(kind, _HINT))


_BOOKS = "books of flows"
_HINT = "rename one; what both need belongs into a module that both import"
_HINTS = {
    "definitions": "give one another name or version; what both need belongs into a module that both import",
    _BOOKS: "one runtime has one book: make FlowBook(flows=[...], handlers=[...]) of both, and share it",
}


def _brought(part: Part) -> Iterator[tuple[str, str, object]]:
    """What a part brings: its kind, its name, and what tells it from others of that name."""
    module = part.module
    for definition in module.definitions:
        # What is none is told of by the runtime.
        if isinstance(definition, WorkflowDefinition):
            yield "definitions", _versioned(definition), id(definition)
    if (book := module.flows) is not None:
        yield _BOOKS, "flows", id(book)
        for definition in book.definitions:
            yield "definitions", _versioned(definition), id(book)
    registry = _registry(part)
    for command in registry.commands.values():
        yield "commands", command.name, (id(command.target), command.options)
    for guard in registry.guards.values():
        yield "guards", guard.name, id(guard.target)
    subscribers = Subscribers(module.subscribers)
    for name in subscribers.names:
        yield "subscribers", name, subscribers[name]


def _registry(part: Part) -> Registry:
    """The commands and guards of a part. What is none of either is told with who brings it."""
    module, registry = part.module, Registry()
    try:
        registry.add([*module.commands, *module.guards, *(module.flows.commands if module.flows else ())])
    except RegistrationInvalid as error:
        raise placed(error, part.by) from error
    return registry


def placed(error: RegistrationInvalid, by: str) -> RegistrationInvalid:
    """The same error, which says as well who brings what it is about."""
    return RegistrationInvalid(error.name, f"{error.reason}, in {by}", parameter=error.parameter, hint=error.hint)


def _versioned(definition: WorkflowDefinition) -> str:
    return f"{definition.name} v{definition.version}"
