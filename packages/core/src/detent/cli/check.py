"""`detent check`: what is wrong with definitions, and what could happen to their instances that nobody wants."""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import rich_click as click
from click.exceptions import Exit

from detent.cli.handlers import handlers_at, handlers_option
from detent.cli.sarif import Finding, sarif_log
from detent.cli.sources import STANDARD_INPUT
from detent.cli.terminal import one_line
from detent.cli.validate import Handlers, Report, print_problem, report_on, shown_name, summary
from detent.definition.model import WorkflowDefinition
from detent.definition.model_checking import model_check
from detent.definition.places import Place, Written, place_of, written_in
from detent.problems import Problem
from detent.testing.paths import each_simple_path

Format: TypeAlias = Literal["text", "json", "sarif"]
"""How the findings are told."""

_MOST_PATHS = 1000
"""How many paths are counted."""
_TOLD_PLACE = re.compile(r"line (\d+),? column (\d+)")


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in one file."""

    report: Report
    places: Sequence[Place | None]
    """Where each of the report's problems is, as far as the file says."""
    paths: Sequence[str] | None
    """The simple paths to an end, no more than one beyond what is counted; `None` where there is no sound definition."""

    @property
    def file(self) -> str | None:
        """The path of the file; `None` for standard input."""
        return None if self.report.source == STANDARD_INPUT else self.report.source

    def findings(self) -> list[Finding]:
        """Each problem with its place."""
        return [Finding(self.file, *each) for each in zip(self.report.problems, self.places, strict=True)]

    def to_dict(self, *, strict: bool, most: int) -> dict[str, Any]:
        """The findings as JSON values."""
        told = self.report.to_dict(strict=strict)
        for problem, place in zip(told["problems"], self.places, strict=True):
            problem |= {"line": place[0] if place else None, "column": place[1] if place else None}
        return told | {"paths": None if self.paths is None else _paths_told(self.paths, most)}


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--format", "told_as", type=click.Choice(get_args(Format)), default="text", show_default=True, help="How to tell."
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--paths", "most", type=click.IntRange(0), default=10, show_default=True, help="How many paths to list.")
@click.option("--ignore", metavar="CODE", multiple=True, help="Leave out warnings and notes of this code; repeatable.")
@handlers_option
@click.option("--strict", is_flag=True, help="Count warnings as errors.")
def check(
    files: tuple[str, ...],
    told_as: Format,
    as_json: bool,
    most: int,
    ignore: tuple[str, ...],
    handlers: str | None,
    strict: bool,
) -> None:
    """Look at everything that could happen in definitions, in JSON or YAML files; `-` reads standard input.

    Beside what `detent validate` says: states in which, and circles in which an instance may stay for ever, branches and
    targets that are never taken or overlap, timeouts at one instant, and the simple paths to an end. Of flows it says what
    `validate` does. Exit code 1 when there is an error.
    """
    if as_json and told_as == "sarif":
        raise click.UsageError("--json and --format sarif are two documents; ask for one")
    known = handlers_at(handlers)
    checked = [_checked(source, known, frozenset(ignore)) for source in files]
    valid = all(each.report.is_valid(strict=strict) for each in checked)
    if told_as == "sarif":
        click.echo(json.dumps(sarif_log(finding for each in checked for finding in each.findings()), indent=2))
    elif as_json or told_as == "json":
        told = [each.to_dict(strict=strict, most=most) for each in checked]
        click.echo(json.dumps({"valid": valid, "files": told}, indent=2))
    else:
        for each in checked:
            _print(each, most)
    if not valid:
        raise Exit(1)


def _checked(source: str, handlers: Handlers | None, ignored: Collection[str]) -> Checked:
    report = report_on(source, handlers)
    definition = report.read if isinstance(report.read, WorkflowDefinition) else None
    problems = [*report.problems, *(model_check(definition) if definition else ())]
    kept = [found for found in problems if found.severity == "error" or found.code not in ignored]
    report = replace(report, problems=kept)
    written = _written(source)
    places = [_place(problem, written) for problem in kept]
    is_sound = definition is not None and report.is_valid(strict=False)
    return Checked(report, places, _paths(definition) if definition and is_sound else None)


def _paths(definition: WorkflowDefinition) -> list[str]:
    return [str(path) for path in islice(each_simple_path(definition), _MOST_PATHS + 1)]


def _written(source: str) -> Written | None:
    """The places in a file; nobody knows them of standard input, which is read only once."""
    if source == STANDARD_INPUT:
        return None
    try:
        text = Path(source).read_text("utf-8")
    except (OSError, UnicodeError):
        return None
    return written_in(text, is_json=Path(source).suffix.lower() == ".json")


def _place(problem: Problem, written: Written | None) -> Place | None:
    """Where a problem is; one that was met while reading says so itself."""
    told = _TOLD_PLACE.search(problem.path) or (_TOLD_PLACE.search(problem.message) if not problem.path else None)
    if told:
        return int(told[1]), int(told[2])
    return place_of(problem.path, written) if written else None


def _print(checked: Checked, most: int) -> None:
    report = checked.report
    click.echo(f"{click.style(one_line(shown_name(report)), bold=True)}: {summary(report)}")
    for problem, place in zip(report.problems, checked.places, strict=True):
        says_so_itself = _TOLD_PLACE.fullmatch(problem.path) is not None
        print_problem(problem, f"{place[0]}:{place[1]} " if place and not says_so_itself else "")
    if checked.paths is not None:
        told = _paths_told(checked.paths, most)
        more = "more than " if told["more"] else ""
        click.echo(f"  {more}{told['count']} simple {'path' if told['count'] == 1 else 'paths'} to an end")
        for path in told["listed"]:
            click.echo(f"    {one_line(path)}")
        if len(told["listed"]) < told["count"] and most:
            click.echo(f"    and {more}{told['count'] - len(told['listed'])} others: --paths lists more")


def _paths_told(paths: Sequence[str], most: int) -> dict[str, Any]:
    return {
        "count": min(len(paths), _MOST_PATHS),
        "more": len(paths) > _MOST_PATHS,
        "listed": list(paths[: min(most, _MOST_PATHS)]),
    }
