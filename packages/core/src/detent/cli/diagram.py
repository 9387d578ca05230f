"""`detent diagram`: a definition as a Mermaid diagram, on standard output or in a file that is kept up to date."""

from pathlib import Path
from typing import Literal, get_args

import rich_click as click

from detent.cli.sources import find_definition
from detent.cli.terminal import one_line
from detent.notation.mermaid import Direction, Style, to_mermaid


@click.command()
@click.argument("source", metavar="FILE|MODULE:ATTRIBUTE")
@click.option("--style", type=click.Choice(get_args(Style)), default="state", show_default=True, help="Which diagram.")
@click.option(
    "--direction",
    type=click.Choice(get_args(Direction)),
    default="LR",
    show_default=True,
    help="Where the arrows lead.",
)
@click.option("--hide-commands", is_flag=True, help="Leave commands out.")
@click.option("--hide-details", is_flag=True, help="Leave out what cannot be drawn: context, payloads and the like.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@click.option(
    "--check", is_flag=True, help="Write nothing; exit code 1 when the file given by --output is out of date."
)
def diagram(
    source: str,
    style: Style,
    direction: Direction,
    hide_commands: bool,
    hide_details: bool,
    output: Path | None,
    check: bool,
) -> None:
    """Draw a definition as a Mermaid diagram.

    It is read from a JSON or YAML file, from standard input for `-`, or from a Python `module:attribute`, which is a
    WorkflowDefinition or a function that returns one.
    """
    if check and output is None:
        raise click.UsageError("--check compares with a file: name it with --output")
    text = to_mermaid(
        find_definition(source),
        style=style,
        direction=direction,
        show_commands=not hide_commands,
        show_details=not hide_details,
    )
    if output is None:
        click.echo(text, nl=False)
    else:
        _keep(output, text, source, "compare" if check else "write")


def _keep(output: Path, text: str, source: str, mode: Literal["compare", "write"]) -> None:
    try:
        if mode == "write":
            output.write_text(text, encoding="utf-8", newline="\n")
            return
        kept = output.read_text(encoding="utf-8") if output.exists() else None
    except (OSError, UnicodeError) as error:
        raise click.ClickException(one_line(f"{output} cannot be used: {error}")) from None
    if kept != text:
        state = "is missing" if kept is None else "is out of date"
        raise click.ClickException(one_line(f"{output} {state}; draw {source} again without --check"))
