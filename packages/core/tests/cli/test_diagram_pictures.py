"""`detent diagram --png` and `--svg`: what is asked of an installed `mmdc`, and what is said where there is none."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from detent.definition.model import WorkflowDefinition
from detent.notation import to_mermaid

Detent = Callable[..., Result]

MMDC = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path

given = dict(zip(sys.argv[2::2], sys.argv[3::2]))
assert sys.argv[1] == "--quiet", sys.argv
if os.environ.get("MMDC_FAILS"):
    print("Error: could not find\\n  Chrome", file=sys.stderr)
    sys.exit(3)
config = given.get("--puppeteerConfigFile")
seen = {{"given": given, "diagram": Path(given["--input"]).read_text("utf-8")}}
seen["browser"] = json.loads(Path(config).read_text()) if config else None
with open(os.environ["MMDC_SEEN"], "a") as file:
    file.write(json.dumps(seen) + "\\n")
if not os.environ.get("MMDC_IDLE"):
    Path(given["--output"]).write_bytes(b"picture " + Path(given["--output"]).suffix.encode())
"""


@pytest.fixture
def mmdc(detent: Detent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that takes what Mermaid's takes, and writes down what it was given."""
    program = tmp_path / "bin" / "mmdc"
    program.parent.mkdir()
    program.write_text(MMDC)
    program.chmod(0o755)
    monkeypatch.setenv("MMDC_SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("PATH", str(program.parent))
    return program


def said(result: Result) -> str:
    """What was said, however it was broken into lines."""
    return " ".join(result.output.replace("│", " ").split())


def seen() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("seen").read_text().splitlines()]


def test_a_picture_is_drawn_by_the_mmdc_on_path(detent: Detent, mmdc: Path) -> None:
    result = detent("diagram", "order.json", "--png", "order.png")
    assert (result.exit_code, result.output) == (0, "")
    assert Path("order.png").read_bytes() == b"picture .png"
    [call] = seen()
    assert call["diagram"] == to_mermaid(WorkflowDefinition.from_file("order.json"))
    assert (call["given"]["--theme"], call["given"]["--backgroundColor"]) == ("default", "white")


def test_both_pictures_and_the_text_are_written_at_once(detent: Detent, mmdc: Path) -> None:
    options = ["--style", "flowchart", "--theme", "dark"]
    result = detent("diagram", "order.json", *options, "--png", "a.png", "--svg", "a.svg", "--output", "a.mmd")
    assert result.exit_code == 0
    assert Path("a.svg").read_bytes() == b"picture .svg"
    assert [call["given"]["--theme"] for call in seen()] == ["dark", "dark"]
    assert seen()[0]["given"]["--backgroundColor"] == "#1f2020"
    assert "flowchart LR" in Path("a.mmd").read_text()


@pytest.mark.parametrize(("user", "browser"), [(0, {"args": ["--no-sandbox"]}), (1000, None)])
def test_only_root_starts_the_browser_without_its_sandbox(
    detent: Detent, mmdc: Path, monkeypatch: pytest.MonkeyPatch, user: int, browser: object
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert detent("diagram", "order.json", "--png", "order.png").exit_code == 0
    assert seen()[0]["browser"] == browser


@pytest.mark.parametrize("way", ["option", "variable"])
def test_another_mmdc_can_be_named(
    detent: Detent, mmdc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    named = mmdc.rename(tmp_path / "mermaid-cli")
    if way == "variable":
        monkeypatch.setenv("DETENT_MMDC", str(named))
    options = ["--mmdc", str(named)] if way == "option" else []
    assert detent("diagram", "order.json", "--svg", "order.svg", *options).exit_code == 0
    assert Path("order.svg").exists()


def test_without_mmdc_it_is_said_how_to_get_one(
    detent: Detent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = detent("diagram", "order.json", "--png", "order.png")
    assert result.exit_code == 1
    assert "a picture is drawn by mmdc, which was not found" in said(result)
    assert "npm install -g @mermaid-js/mermaid-cli" in said(result)
    assert "DETENT_MMDC" in said(result)
    named = detent("diagram", "order.json", "--png", "order.png", "--mmdc", "gone")
    assert "gone is no program" in said(named)


def test_what_mmdc_says_when_it_fails_is_shown(detent: Detent, mmdc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDC_FAILS", "1")
    Path("order.png").write_bytes(b"before")
    result = detent("diagram", "order.json", "--png", "order.png")
    assert result.exit_code == 1
    assert "failed with exit code 3: Error: could not find Chrome" in said(result)
    assert Path("order.png").read_bytes() == b"before"


def test_a_program_that_draws_nothing_is_no_success(
    detent: Detent, mmdc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMDC_IDLE", "1")
    result = detent("diagram", "order.json", "--png", "order.png")
    assert (result.exit_code, "drew nothing" in said(result)) == (1, True)


def test_a_program_that_cannot_run_and_a_file_that_cannot_be_written_are_told(detent: Detent, mmdc: Path) -> None:
    unwritten = detent("diagram", "order.json", "--png", "no/such/order.png")
    assert "no/such/order.png cannot be written" in said(unwritten)
    mmdc.write_text("#!/no/such/interpreter\n")
    result = detent("diagram", "order.json", "--png", "order.png")
    assert (result.exit_code, "cannot be run" in said(result)) == (1, True)


@pytest.mark.parametrize("options", [["--check"], ["--format", "dot"], ["--output", "x", "--check"]])
def test_a_picture_is_neither_compared_nor_drawn_from_dot(detent: Detent, mmdc: Path, options: list[str]) -> None:
    assert detent("diagram", "order.json", "--png", "order.png", *options).exit_code == 2
