"""What a `module:attribute` of the user's names: imported and looked up, with every fault told in one sentence."""

import importlib
import sys
from pathlib import Path
from typing import Any

import rich_click as click

from detent.cli.terminal import one_line
from detent.problems import did_you_mean


def attribute_at(source: str) -> Any:
    """What stands at `module:attribute`; the module is imported, and so its code runs."""
    module_name, _, path = source.partition(":")
    found: Any = _imported(module_name)
    for name in path.split("."):
        if not hasattr(found, name):
            hint = did_you_mean(name, (known for known in dir(found) if not known.startswith("_")))
            raise click.ClickException(one_line(f"{module_name} has no {path}" + (f"; {hint}" if hint else "")))
        found = getattr(found, name)
    return found


def called(found: Any, source: str) -> Any:
    """What a function answers when it is called without arguments; anything else as it is."""
    if not callable(found) or isinstance(found, type):
        return found
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise click.ClickException(failure(f"{source} could not be called without arguments", error)) from None


def kind_of(found: Any) -> str:
    """What to call a thing that is not what was wanted."""
    return f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"


def failure(what: str, error: BaseException) -> str:
    """What went wrong in the user's code, on one line."""
    return one_line(f"{what}: {type(error).__name__}: {error}")


def _imported(module_name: str) -> Any:
    # As `python -m` does: a module beside the user comes first. It stays there for what the module imports later.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # the module is the user's and may do anything
        raise click.ClickException(failure(f"{module_name} cannot be imported", error)) from None
