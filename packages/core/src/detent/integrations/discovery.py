"""Discovery: a package is imported with all its modules, and what these declare is collected.

What a module only imports is left out, wherever it comes from: the package's own modules are asked anyway, and others are not
meant. A module takes such a thing in by naming it in its `__all__`. Names that begin with an underscore are left out, too.
"""

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from detent.definition.model import WorkflowDefinition
from detent.drawn.workflow import DrawnWorkflow
from detent.errors import RegistrationInvalid
from detent.flows.book import FlowBook
from detent.integrations.modules import Part, WorkflowModule, placed
from detent.registry.registry import DECLARED_MARK, Registry
from detent.runtime.observers import WorkflowObserver
from detent.runtime.subscribers import SUBSCRIBER_MARK, Subscriber


def discovered(packages: str | Iterable[str]) -> Iterator[Part]:
    """What these packages, or single modules, declare, each with where it stands; always in the same order.

    That is what `@command`, `@guard` and `@subscriber` marked, classes that were made of diagrams, and objects at the top of a
    module: `WorkflowModule`, `WorkflowDefinition`, `FlowBook`, `Registry`, `Subscriber`, observers. Raises `RegistrationInvalid`
    for a module that cannot be imported.
    """
    for package in [packages] if isinstance(packages, str) else packages:
        for module in _modules_in(package):
            for name in _declared_names(module):
                place = f"{module.__name__}.{name}"
                if (found := _taken(getattr(module, name), place)) is not None:
                    yield Part(place, found)


def _modules_in(name: str) -> Iterator[ModuleType]:
    """The module of that name, and those below it, by name."""
    module = _imported(name)
    yield module
    for below in sorted(pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."), key=lambda info: info.name):
        # That one is a program, and would run.
        if not below.name.endswith(".__main__"):
            yield from _modules_in(below.name)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # the module is the application's and may do anything
        reason = f"the module cannot be imported: {type(error).__name__}: {error}"
        hint = "`discover` names a package as `import` does, and imports every module in it"
        raise RegistrationInvalid(name, reason, hint=hint) from error


def _declared_names(module: ModuleType) -> list[str]:
    """The names that stand for something of the module's own, in the order in which they were given."""
    exported = set(getattr(module, "__all__", ()))
    foreign = _names_of_imports(module)
    return [name for name in vars(module) if name in exported or not (name.startswith("_") or name in foreign)]


def _names_of_imports(module: ModuleType) -> set[str]:
    """The names that `from … import` gives at the top of the module."""
    read = getattr(getattr(module.__spec__, "loader", None), "get_source", None)
    source: str | None = read(module.__name__) if read else None
    if source is None:
        hint = "name what it declares in `modules`, `definitions`, `commands` and so on"
        raise RegistrationInvalid(module.__name__, "the module has no source that tells what it imports", hint=hint)
    return {name for found in _imports_in(ast.parse(source)) for name in _names_given(found, module)}


def _imports_in(node: ast.AST) -> Iterator[ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom):
            yield child
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            yield from _imports_in(child)


def _names_given(found: ast.ImportFrom, module: ModuleType) -> Iterable[str]:
    if found.names[0].name != "*":
        return [alias.asname or alias.name for alias in found.names]
    name = importlib.util.resolve_name("." * found.level + (found.module or ""), module.__package__)
    if (source := sys.modules.get(name)) is None:
        # It stands where it is not run, or failed and was caught.
        return []
    public = [name for name in vars(source) if not name.startswith("_")]
    return getattr(source, "__all__", public)


def _taken(found: Any, place: str) -> WorkflowModule | None:
    try:
        return _as_module(found)
    except RegistrationInvalid as error:
        raise placed(error, place) from error


def _as_module(found: Any) -> WorkflowModule | None:
    """What was found, as a module that brings it; `None` for what is not ours."""
    match found:
        case WorkflowModule():
            return WorkflowModule("", imports=[found])
        case WorkflowDefinition():
            return WorkflowModule("", definitions=[found])
        case FlowBook():
            return WorkflowModule("", flows=found)
        case WorkflowObserver():
            return WorkflowModule("", observers=[found])
        case Subscriber():
            return WorkflowModule("", subscribers=[found])
        case Registry():
            return WorkflowModule("", commands=[found])
    if _is_marked(found, SUBSCRIBER_MARK):
        return WorkflowModule("", subscribers=[found])
    if _is_marked(found, DECLARED_MARK):
        # A registry tells commands from guards itself.
        return WorkflowModule("", commands=[found])
    if inspect.isclass(found) and issubclass(found, DrawnWorkflow) and not _is_generated(found):
        return WorkflowModule("", definitions=found.definitions, commands=found.commands)
    return None


def _is_marked(found: Any, mark: str) -> bool:
    """Whether it was decorated itself: a class that inherits from a command is none, and some objects have any attribute."""
    return mark in vars(found) if inspect.isclass(found) else inspect.getattr_static(found, mark, None) is not None


def _is_generated(drawn: type[DrawnWorkflow[Any]]) -> bool:
    """Whether it is what a diagram was made into, which has the drawing and waits for a class that writes its methods."""
    return not hasattr(drawn, "drawing") or ("drawing" in vars(drawn) and inspect.isabstract(drawn))
