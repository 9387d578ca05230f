"""Where a command finds a definition: in a file, on standard input, or in a Python module."""

import sys
from pathlib import Path

import rich_click as click

from detent.cli.modules import attribute_at, called, kind_of
from detent.cli.terminal import one_line
from detent.definition.model import WorkflowDefinition
from detent.errors import DefinitionInvalid

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
    found = called(attribute_at(source), source)
    if isinstance(found, WorkflowDefinition):
        return found
    raise click.ClickException(
        one_line(f"{source} is {kind_of(found)} and not a WorkflowDefinition or a function that returns one")
    )


def _first_of(source: str, error: DefinitionInvalid) -> str:
    first, *others = error.problems
    more = f"; {len(others)} more: detent validate {source}" if others else ""
    return one_line(f"{source} holds no sound definition: {first}{more}")
