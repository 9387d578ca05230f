"""`detent validate`: everything that is wrong with definition files, without running anything."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import rich_click as click
from click.exceptions import Exit

from detent.cli.sources import STANDARD_INPUT, read_definition
from detent.cli.terminal import one_line, printable
from detent.definition.model import WorkflowDefinition
from detent.definition.validate import validate as check
from detent.errors import DefinitionInvalid
from detent.problems import Problem

_COLOURS = {"error": "red", "warning": "yellow"}


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in one file."""

    source: str
    """The file as it was named, or `-`."""
    definition: WorkflowDefinition | None
    """What it holds, where that can be read."""
    problems: Sequence[Problem]

    def is_valid(self, *, strict: bool) -> bool:
        """Whether nothing is wrong with it; `strict` counts warnings."""
        return not any(strict or problem.severity == "error" for problem in self.problems)

    def to_dict(self, *, strict: bool) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "file": self.source,
            "workflow": self.definition.name if self.definition else None,
            "version": self.definition.version if self.definition else None,
            "valid": self.is_valid(strict=strict),
            "problems": [asdict(problem) for problem in self.problems],
        }


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--strict", is_flag=True, help="Count warnings as errors.")
@click.option("--json", "as_json", is_flag=True, help="Answer JSON.")
def validate(files: tuple[str, ...], strict: bool, as_json: bool) -> None:
    """Say everything that is wrong with definitions in JSON or YAML files; `-` reads standard input.

    Exit code 1 when there is an error.
    """
    reports = [_report(source) for source in files]
    valid = all(report.is_valid(strict=strict) for report in reports)
    if as_json:
        answer = {"valid": valid, "files": [report.to_dict(strict=strict) for report in reports]}
        click.echo(json.dumps(answer, indent=2))
    else:
        for report in reports:
            _print(report)
    if not valid:
        raise Exit(1)


def _report(source: str) -> Report:
    try:
        definition = read_definition(source)
    except DefinitionInvalid as error:
        return Report(source, None, error.problems)
    except OSError as error:
        return Report(source, None, [Problem("", "unreadable", f"cannot be read: {error.strerror or error}")])
    return Report(source, definition, check(definition))


def _print(report: Report) -> None:
    name = "standard input" if report.source == STANDARD_INPUT else report.source
    click.echo(f"{click.style(one_line(name), bold=True)}: {_summary(report)}")
    for problem in report.problems:
        severity = click.style(f"{problem.severity:<7}", fg=_COLOURS[problem.severity])
        place = f"{problem.path}: " if problem.path else ""
        click.echo(f"  {severity} {one_line(place + problem.message)}")
        if problem.hint:
            click.echo(f"          {click.style(one_line(problem.hint), dim=True)}")


def _summary(report: Report) -> str:
    counts = [_counted(report.problems, severity) for severity in ("error", "warning")]
    found = ", ".join(count for count in counts if count)
    if found:
        return found
    named = f" ({report.definition.name} v{report.definition.version})" if report.definition else ""
    return click.style("sound", fg="green") + printable(named)


def _counted(problems: Sequence[Problem], severity: str) -> str:
    number = sum(problem.severity == severity for problem in problems)
    return f"{number} {severity}{'' if number == 1 else 's'}" if number else ""
