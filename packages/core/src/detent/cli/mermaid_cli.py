"""Pictures: a Mermaid diagram drawn by `mmdc`, the command line of Mermaid, where that is installed."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, TypeAlias

import rich_click as click

from detent.cli.terminal import one_line

Theme: TypeAlias = Literal["default", "dark", "neutral", "forest"]
"""The themes of Mermaid."""

_SECONDS = 120
"""How long `mmdc` may take; it starts a browser."""
_BACKGROUNDS: dict[Theme, str] = {"dark": "#1f2020"}
_MISSING = (
    "install it with `npm install -g @mermaid-js/mermaid-cli`, or say where it is with --mmdc or DETENT_MMDC; "
    "without it, --output writes the diagram as text, and --format dot is drawn by Graphviz"
)


def find_mmdc(named: str | None) -> str:
    """The path of `mmdc`: what was named, a path or a program on PATH, or else what PATH has.

    Raises `ClickException` with what to do where there is none.
    """
    found = shutil.which(named or "mmdc")
    if found is None:
        what = f"{named} is no program" if named else "a picture is drawn by mmdc, which was not found"
        raise click.ClickException(one_line(f"{what}: {_MISSING}"))
    return found


def draw_picture(diagram: str, target: Path, *, kind: Literal["png", "svg"], mmdc: str, theme: Theme) -> None:
    """Draw a Mermaid diagram into the file `target`, which is touched only when all went well.

    Raises `ClickException` with what `mmdc` said.
    """
    with TemporaryDirectory(prefix="detent-diagram-") as folder:
        picture = Path(folder, f"picture.{kind}")
        written = Path(folder, "diagram.mmd")
        written.write_text(diagram, encoding="utf-8", newline="\n")
        looks = ["--theme", theme, "--backgroundColor", _BACKGROUNDS.get(theme, "white")]
        files = ["--input", str(written), "--output", str(picture)]
        _run([mmdc, "--quiet", *files, *looks, *_browser_options(Path(folder))])
        if not picture.exists():
            raise click.ClickException(f"{mmdc} ended without an error and drew nothing")
        try:
            shutil.copyfile(picture, target)
        except OSError as error:
            raise click.ClickException(one_line(f"{target} cannot be written: {error.strerror or error}")) from None


def _browser_options(folder: Path) -> list[str]:
    """A browser started by root, as in a container, refuses to run with its sandbox."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return []
    config = folder / "puppeteer.json"
    config.write_text(json.dumps({"args": ["--no-sandbox"]}), encoding="utf-8")
    return ["--puppeteerConfigFile", str(config)]


def _run(command: list[str]) -> None:
    try:
        # The program is the user's own choice, and the arguments are ours.
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise click.ClickException(f"{command[0]} was not done after {_SECONDS} seconds") from None
    except OSError as error:
        raise click.ClickException(one_line(f"{command[0]} cannot be run: {error.strerror or error}")) from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise click.ClickException(one_line(f"{command[0]} failed with exit code {done.returncode}: {said}"))
