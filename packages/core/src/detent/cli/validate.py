"""`detent validate`: everything that is wrong with files of definitions and flows, without running anything."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import rich_click as click
from click.exceptions import Exit

from detent.cli.handlers import handlers_at, handlers_option
from detent.cli.sources import STANDARD_INPUT, Written, read_source
from detent.cli.terminal import one_line, printable
from detent.definition.validate import validate as check
from detent.errors import DefinitionInvalid
from detent.flows.checks import check_flow
from detent.flows.errors import FlowInvalid
from detent.flows.flow import Flow
from detent.flows.handler import HandlerSpec
from detent.problems import Problem, Severity

_COLOURS: dict[Severity, str] = {"error": "red", "warning": "yellow", "note": "cyan"}
_NEEDS_HANDLERS = frozenset({"unknown_handler", "unreachable_step"})
"""What nobody knows of a flow without its handlers: which there are, and where they go."""

Handlers = Mapping[str, HandlerSpec]


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in one file."""

    source: str
    """The file as it was named, or `-`."""
    read: Written | None
    """What it holds, where that can be read."""
    problems: Sequence[Problem]
    handlers_checked: bool = True
    """Whether its handlers were looked at, if it is a flow."""

    @property
    def name(self) -> str | None:
        """What the definition or the flow is called."""
        return self.read.id if isinstance(self.read, Flow) else self.read.name if self.read else None

    def is_valid(self, *, strict: bool) -> bool:
        """Whether nothing is wrong with it; `strict` counts warnings."""
        refused = ("error", "warning") if strict else ("error",)
        return not any(problem.severity in refused for problem in self.problems)

    def to_dict(self, *, strict: bool) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "file": self.source,
            "workflow": self.name,
            "version": self.read.version if self.read else None,
            "valid": self.is_valid(strict=strict),
            "problems": [asdict(problem) for problem in self.problems],
        }


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@handlers_option
@click.option("--strict", is_flag=True, help="Count warnings as errors.")
@click.option("--json", "as_json", is_flag=True, help="Answer JSON.")
def validate(files: tuple[str, ...], handlers: str | None, strict: bool, as_json: bool) -> None:
    """Say everything that is wrong with definitions and flows in JSON or YAML files; `-` reads standard input.

    The handlers of a flow, and their configs, are checked where --handlers tells them. Exit code 1 when there is an error.
    """
    known = handlers_at(handlers)
    reports = [report_on(source, known) for source in files]
    valid = all(report.is_valid(strict=strict) for report in reports)
    if as_json:
        answer = {"valid": valid, "files": [report.to_dict(strict=strict) for report in reports]}
        click.echo(json.dumps(answer, indent=2))
    else:
        for report in reports:
            _print(report)
    if not valid:
        raise Exit(1)


def report_on(source: str, handlers: Handlers | None) -> Report:
    """What is in a file, or on standard input for `-`, and everything that is wrong with it."""
    try:
        read = read_source(source)
    except (DefinitionInvalid, FlowInvalid) as error:
        return Report(source, None, error.problems)
    except OSError as error:
        return Report(source, None, [Problem("", "unreadable", f"cannot be read: {error.strerror or error}")])
    written = read.written
    if isinstance(written, Flow):
        return Report(source, written, _flow_problems(written, handlers), handlers_checked=handlers is not None)
    return Report(source, written, [*read.warnings, *check(written)])


def _flow_problems(flow: Flow, handlers: Handlers | None) -> list[Problem]:
    if handlers is not None:
        return check_flow(flow, handlers)
    return [problem for problem in check_flow(flow, {}) if problem.code not in _NEEDS_HANDLERS]


def _print(report: Report) -> None:
    click.echo(f"{click.style(one_line(shown_name(report)), bold=True)}: {summary(report)}")
    for problem in report.problems:
        print_problem(problem)


def shown_name(report: Report) -> str:
    """What the file is called when it is told of."""
    return "standard input" if report.source == STANDARD_INPUT else report.source


def print_problem(problem: Problem, place: str = "") -> None:
    """Print one problem with its hint; `place` is where in the file it is."""
    severity = click.style(f"{problem.severity:<7}", fg=_COLOURS[problem.severity])
    path = f"{problem.path}: " if problem.path else ""
    click.echo(f"  {severity} {one_line(place + path + problem.message)}")
    if problem.hint:
        click.echo(f"          {click.style(one_line(problem.hint), dim=True)}")


def summary(report: Report) -> str:
    """How many problems there are of each severity, or that the file is sound."""
    counts = [_counted(report.problems, severity) for severity in _COLOURS]
    found = ", ".join(count for count in counts if count)
    if found:
        return found
    unchecked = "" if report.handlers_checked else "; its handlers were not checked, see --handlers"
    named = f" ({report.name} v{report.read.version}{unchecked})" if report.read else ""
    return click.style("sound", fg="green") + printable(named)


def _counted(problems: Sequence[Problem], severity: Severity) -> str:
    number = sum(problem.severity == severity for problem in problems)
    return f"{number} {severity}{'' if number == 1 else 's'}" if number else ""
