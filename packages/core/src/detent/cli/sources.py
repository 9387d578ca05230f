"""Where a command finds a definition or a flow: in a file, on standard input, or in a Python module."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import rich_click as click

from detent.cli.modules import attribute_at, called, kind_of
from detent.cli.terminal import one_line
from detent.definition.model import WorkflowDefinition
from detent.definition.reading import read_file, read_json, read_yaml
from detent.drawn import DrawnWorkflow
from detent.errors import DefinitionInvalid
from detent.flows.errors import FlowInvalid
from detent.flows.flow import Flow
from detent.notation.mermaid_reader import read_mermaid
from detent.problems import Problem

Written: TypeAlias = WorkflowDefinition | Flow
"""What a file may hold."""

_DRAWN = frozenset({".mmd", ".mermaid"})
"""The suffixes of state diagrams."""
STANDARD_INPUT = "-"
"""What is written in place of a file to read standard input."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read, and what the reading has to say about it."""

    written: Written
    warnings: tuple[Problem, ...] = ()
    """Of a diagram what is worth knowing about how it is drawn, each with its line and column."""


def read_source(source: str) -> Read:
    """What a file holds, or standard input for `-`; raises `DefinitionInvalid`, `FlowInvalid` or `OSError`."""
    path = Path(source)
    if is_drawn(path):
        reading = read_mermaid(text_in(path), name=path.stem)
        return Read(reading.definition, reading.warnings)
    data = _data_in(source)
    return Read(Flow.from_dict(data) if _is_flow(data) else WorkflowDefinition.from_dict(data))


def find_source(source: str) -> Written:
    """What is in a file, on standard input, or at `module:attribute`; what goes wrong is said in one sentence."""
    if ":" in source and not Path(source).exists():
        return _from_module(source)
    try:
        return read_source(source).written
    except (DefinitionInvalid, FlowInvalid) as error:
        raise click.ClickException(_first_of(source, error)) from None
    except OSError as error:
        raise click.ClickException(one_line(f"{source} cannot be read: {error.strerror or error}")) from None


def is_drawn(path: Path) -> bool:
    """Whether this is a file of a state diagram."""
    return path.suffix.lower() in _DRAWN


def text_in(path: Path) -> str:
    """What a file of text holds. Raises `DefinitionInvalid` where it is no text, and `OSError`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        problem = Problem("", "not_utf8", "is no text in UTF-8", "save it as UTF-8")
        raise DefinitionInvalid(path.stem, [problem]) from None


def _data_in(source: str) -> Any:
    if source != STANDARD_INPUT:
        return read_file(source)
    text = sys.stdin.buffer.read()
    # YAML takes most JSON as well, but explains its faults as faults of YAML.
    return read_json(text) if text.lstrip()[:1] == b"{" else read_yaml(text)


def _is_flow(data: object) -> bool:
    """Whether it was meant as a flow, so that it is told what a flow lacks."""
    return (
        isinstance(data, Mapping)
        and not {"states", "initial_state", "initialState"} & data.keys()
        and bool({"steps", "initial_step_id", "initialStepId"} & data.keys())
    )


def _from_module(source: str) -> Written:
    found = called(attribute_at(source), source)
    if isinstance(found, type) and issubclass(found, DrawnWorkflow):
        found = getattr(found, "definition", found)
    if isinstance(found, WorkflowDefinition | Flow):
        return found
    wanted = "a WorkflowDefinition, a class made of a diagram or a Flow, or a function that returns one"
    wanted = "a WorkflowDefinition, a class made of a diagram or a Flow, or a function that returns one"
    raise click.ClickException(one_line(f"{source} is {kind_of(found)} and not {wanted}"))


def _first_of(source: str, error: DefinitionInvalid | FlowInvalid) -> str:
    first, *others = error.problems
    more = f"; {len(others)} more: detent validate {source}" if others else ""
    kind = "flow" if isinstance(error, FlowInvalid) else "definition"
    return one_line(f"{source} holds no sound {kind}: {first}{more}")
