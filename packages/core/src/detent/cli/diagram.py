"""`detent diagram`: a definition or a flow drawn as text or as a picture, and diagrams in pages that are kept up to date."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import rich_click as click

from detent.cli.drawing import Drawing, drawing_options
from detent.cli.mermaid_cli import Theme, draw_picture, find_mmdc
from detent.cli.pages import holds_pages, keep_pages
from detent.cli.terminal import one_line

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@drawing_options
@click.option("--output", type=_FILE, help="Write to this file.")
@click.option("--png", type=_FILE, help="Draw a picture into this file, with an installed mmdc.")
@click.option("--svg", type=_FILE, help="Likewise, as SVG.")
@click.option(
    "--theme", type=click.Choice(get_args(Theme)), default="default", show_default=True, help="The theme of a picture."
)
@click.option("--mmdc", envvar="DETENT_MMDC", metavar="PROGRAM", help="Mermaid's command line; else the mmdc on PATH.")
@click.option(
    "--check", is_flag=True, help="Write nothing; exit code 1 when the pages, or the file of --output, are out of date."
)
@click.option("--write", is_flag=True, help="Draw the marked diagrams in the pages again.")
@click.option(
    "--json", "as_json", is_flag=True, help="Of pages, answer JSON: each marked diagram, and how it was found."
)
def diagram(
    sources: tuple[str, ...],
    output: Path | None,
    png: Path | None,
    svg: Path | None,
    theme: Theme,
    mmdc: str | None,
    check: bool,
    write: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Draw a definition or a flow as a Mermaid diagram, or in the language of Graphviz.

    It is read from a JSON or YAML file, from standard input for `-`, or from a Python `module:attribute`, which is a
    WorkflowDefinition, a Flow, or a function that returns one. Of a flow, --handlers tells where `goto` may lead.

    With --check or --write, pages of Markdown or reStructuredText and folders of them are compared or written instead: each
    block of a diagram below a comment `detent diagram: SOURCE` with the options of this command.
    """
    drawing = Drawing.taken_from(options)
    if any(map(holds_pages, sources)):
        _refuse_beside_pages(sources, drawing, [output, png, svg])
        keep_pages(sources, _mode(check, write), as_json=as_json)
        return
    if as_json:
        raise click.UsageError("--json tells what was found in pages; name pages or folders, and --check or --write")
    _refuse_misuse(sources, drawing, [png, svg], check=check, write=write, output=output)
    program = find_mmdc(mmdc) if png or svg else ""
    text = drawing.of(sources[0])
    if png:
        draw_picture(text, png, kind="png", mmdc=program, theme=theme)
    if svg:
        draw_picture(text, svg, kind="svg", mmdc=program, theme=theme)
    if output:
        _keep(output, text, sources[0], "compare" if check else "write")
    elif not png and not svg:
        click.echo(text, nl=False)


def _mode(check: bool, write: bool) -> Literal["check", "write"]:
    if check == write:
        raise click.UsageError("say --check or --write: pages are either compared or written")
    return "check" if check else "write"


def _refuse_beside_pages(sources: Sequence[str], drawing: Drawing, files: Sequence[Path | None]) -> None:
    others = [source for source in sources if not holds_pages(source)]
    if others:
        raise click.UsageError(one_line(f"{others[0]} is no page and no folder, as the other SOURCEs are"))
    if any(files):
        raise click.UsageError("--output, --png and --svg take a definition or a flow, and no pages")
    if drawing != Drawing():
        raise click.UsageError(
            "how a diagram in a page is drawn is said in its mark, and not beside --check and --write"
        )


def _refuse_misuse(
    sources: Sequence[str],
    drawing: Drawing,
    pictures: Sequence[Path | None],
    *,
    check: bool,
    write: bool,
    output: Path | None,
) -> None:
    if len(sources) > 1:
        raise click.UsageError("one definition or flow is drawn at a time; several SOURCEs are pages")
    if write:
        raise click.UsageError("--write draws the diagrams in pages; a diagram alone is written with --output")
    if check and output is None:
        raise click.UsageError("--check compares with a file: name it with --output, or name pages")
    if any(pictures) and check:
        raise click.UsageError("a picture cannot be compared: --check is for text")
    if any(pictures) and drawing.format != "mermaid":
        raise click.UsageError(
            "--png and --svg are drawn by Mermaid; for --format dot pipe the text into Graphviz's dot"
        )


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
