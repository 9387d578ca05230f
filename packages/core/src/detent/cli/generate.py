"""`detent generate`: state diagrams made into classes, and whether those are still what the diagrams say."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import rich_click as click
from click.exceptions import Exit

from detent.cli.diagram_files import Diagram, found_files, read_diagrams, with_clashes
from detent.cli.generated_files import GeneratedFile, files_of, write
from detent.cli.terminal import one_line, printable
from detent.cli.validate import print_problem
from detent.notation.python_class import PayloadStyle

Made: TypeAlias = tuple[Diagram, Sequence[GeneratedFile]]
"""A diagram, and its modules."""

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 when a module is not what its diagram says.")
@click.option("--output", type=_FOLDER, help="Write into this folder instead of beside each diagram.")
@click.option("--root", type=_FOLDER, help="Modules are imported from this folder on: by their full names.")
@click.option(
    "--typed-dict",
    "style",
    flag_value="typed-dict",
    default=True,
    help="Payloads are stubbed as TypedDict. The default.",
)
@click.option("--pydantic", "style", flag_value="pydantic", help="Payloads are stubbed as pydantic models.")
@click.option("--json", "as_json", is_flag=True, help="Answer JSON.")
def generate(
    files: tuple[str, ...], check: bool, output: Path | None, root: Path | None, style: PayloadStyle, as_json: bool
) -> None:
    """Make Python classes of state diagrams: of files, of patterns such as "**/*.mmd", and of pages of Markdown, of which those
    diagrams count that have a title.

    From shop.mmd come shop_base.py, which is made again each time, and shop_payloads.py, which is written once and then yours.
    Where one diagram is not sound, nothing is written. Exit code 1 when something is wrong, or is left to do.
    """
    diagrams = with_clashes([each for path in found_files(files) for each in read_diagrams(path, output)])
    sound = not any(diagram.problems for diagram in diagrams)
    made = [(diagram, files_of(diagram, style, root) if sound else ()) for diagram in diagrams]
    modules = [one for _, found in made for one in found]
    if sound and not check:
        for one in modules:
            write(one)
    good = sound and not any(one.is_left(check=check) for one in modules)
    if as_json:
        _answer(made, good=good, check=check)
    else:
        _print(made, check=check)
    if not good:
        raise Exit(1)


def _answer(made: Sequence[Made], *, good: bool, check: bool) -> None:
    told: list[dict[str, Any]] = [
        {**diagram.to_dict(), "modules": [one.to_dict(check=check) for one in modules]} for diagram, modules in made
    ]
    click.echo(json.dumps({"good": good, "files": told}, indent=2))


def _print(made: Sequence[Made], *, check: bool) -> None:
    for diagram, modules in made:
        for problem in [*diagram.problems, *diagram.warnings]:
            print_problem(problem, f"{diagram.source}: ")
        for one in modules:
            _tell(one, check=check)
    if not made:
        click.echo("no diagram in these pages has a `title: …` in its front matter; one without is only for looking at")
    if any(diagram.problems for diagram, _ in made) and not check:
        click.echo("Nothing was written.")


def _tell(one: GeneratedFile, *, check: bool) -> None:
    click.echo(one_line(f"{one.path}: {one.told(check=check)}"))
    for line in one.difference(check=check):
        click.echo(f"    {printable(line)}")
