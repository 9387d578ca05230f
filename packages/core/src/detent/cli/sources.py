"""Where a command finds a definition: in a file, on standard input, or in a Python module."""

import importlib
import sys
from pathlib import Path
from typing import Any

import rich_click as click

from detent.cli.terminal import one_line
from detent.definition.model import WorkflowDefinition
from detent.errors import DefinitionInvalid
from detent.problems import did_you_mean

STANDARD_INPUT = "-"
"""What is written in place of a file to read standard input."""


def read_definition(source: str) -> WorkflowDefinition:
    """The definition in a file, or on standard input for `-`; raises `DefinitionInvalid` or `OSError`."""
    if source != STANDARD_INPUT:
        return WorkflowDefinition.from_file(source)
    text = sys.stdin.buffer.read()
    # YAML takes most JSON as well, but explains its faults as faults of YAML.
    return WorkflowDefinition.from_json(text) if text.lstrip()[:1] == b"{" else WorkflowDefinition.from_yaml(text)


def find_definition(source: str) -> WorkflowDefinition:
    """The definition in a file, on standard input, or at `module:attribute`; what goes wrong is said in one sentence."""
    if ":" in source and not Path(source).exists():
        return _from_module(source)
    try:
        return read_definition(source)
    except DefinitionInvalid as error:
        raise click.ClickException(_first_of(source, error)) from None
    except OSError as error:
        raise click.ClickException(one_line(f"{source} cannot be read: {error.strerror or error}")) from None


def _from_module(source: str) -> WorkflowDefinition:
    module_name, _, path = source.partition(":")
    found: Any = _imported(module_name)
    for name in path.split("."):
        if not hasattr(found, name):
            hint = did_you_mean(name, (known for known in dir(found) if not known.startswith("_")))
            raise click.ClickException(one_line(f"{module_name} has no {path}" + (f"; {hint}" if hint else "")))
        found = getattr(found, name)
    return _definition(found, source)


def _imported(module_name: str) -> Any:
    # As `python -m` does: a module beside the user comes first. It stays there for what the module imports later.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # the module is the user's and may do anything
        raise click.ClickException(_failure(f"{module_name} cannot be imported", error)) from None


def _definition(found: Any, source: str) -> WorkflowDefinition:
    if callable(found) and not isinstance(found, type):
        try:
            found = found()
        except (Exception, SystemExit) as error:
            raise click.ClickException(_failure(f"{source} could not be called without arguments", error)) from None
    if isinstance(found, WorkflowDefinition):
        return found
    kind = found.__name__ if isinstance(found, type) else f"a {type(found).__name__}"
    raise click.ClickException(
        one_line(f"{source} is {kind} and not a WorkflowDefinition or a function that returns one")
    )


def _failure(what: str, error: BaseException) -> str:
    return one_line(f"{what}: {type(error).__name__}: {error}")


def _first_of(source: str, error: DefinitionInvalid) -> str:
    first, *others = error.problems
    more = f"; {len(others)} more: detent validate {source}" if others else ""
    return one_line(f"{source} holds no sound definition: {first}{more}")
