"""Everything on the pages under `docs/` is true: their code runs, their definitions are sound, their links lead somewhere.

What a fenced block says of itself:

    python                      runs in the names of its page; what it prints is the `text` block after it
    any with title="NAME"       is a file beside the page's code; a python file named test_*.py is run by pytest instead
    json, yaml                  is read; where it has states it is a definition, and sound
    console                     its `$ detent …` lines are run, and print what is shown after them, if anything is
    sql                         is executed, statement by statement, on the page's PostgreSQL
    mermaid                     is what `<!-- drawn from: NAME -->` above it gives, NAME being a definition of its page

Any other block needs `<!-- not run: REASON -->` above it, or is text that nobody could run (`NOT_CODE`).
"""

import ast
import asyncio
import atexit
import inspect
import json
import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from logging.handlers import QueueListener
from pathlib import Path
from types import ModuleType
from typing import Any

import asyncpg
import pytest
import yaml
from click.testing import CliRunner
from sqlalchemy import URL

from detent import WorkflowDefinition, to_mermaid, validate
from detent.cli.main import main
from tests.databases import database_beside

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOT_CODE = {"text", ""}
RUN = {"python", "json", "yaml", "console", "mermaid", "sql"}

_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>not run|drawn from): (?P<said>[^>]+) -->\n+)?"
    r"```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)")


@dataclass(frozen=True)
class Block:
    """A fenced block, and where it stands."""

    language: str
    title: str | None
    text: str
    line: int
    mark: str | None
    """`not run` or `drawn from`."""
    said: str
    """What stands after the mark."""

    @property
    def is_tests(self) -> bool:
        return bool(self.title and self.title.startswith("test_"))

    @property
    def runs(self) -> bool:
        return self.mark != "not run" and self.language in RUN and not self.is_tests


@dataclass(frozen=True)
class Page:
    """One page of the documentation."""

    path: Path
    text: str
    blocks: tuple[Block, ...]

    @property
    def needs_postgres(self) -> bool:
        """Whether a block asks for the URL of a database, runs `detent db`, or is SQL."""
        asks = re.compile(r"DATABASE_URL|^\$ detent db", re.M)
        return any(block.runs and (block.language == "sql" or asks.search(block.text)) for block in self.blocks)

    def __str__(self) -> str:
        return self.path.stem


def page_of(path: Path) -> Page:
    text = path.read_text("utf-8")
    blocks = tuple(
        Block(
            language=found["language"],
            title=found["title"],
            text=found["text"],
            line=text[: found.start("text")].count("\n"),
            mark=found["mark"],
            said=(found["said"] or "").strip(),
        )
        for found in _BLOCK.finditer(text)
    )
    return Page(path, text, blocks)


PAGES = [page_of(path) for path in sorted(DOCS.glob("*.md"))]


@pytest.fixture(autouse=True)
def process_as_before(tmp_path: Path) -> Iterator[None]:
    """Pages may set up logging and import what they have written; here both end with the page."""
    loggers = [logging.getLogger(name) for name in (None, "litestar")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    path, made = sys.path[:], list[logging.Handler]()
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        made += [handler for handler in logger.handlers if handler not in handlers]
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate
    _end_threads_of({id(handler): handler for handler in made}.values())
    sys.path[:] = path
    _forget_modules(tmp_path)


def _end_threads_of(handlers: Iterable[logging.Handler]) -> None:
    """Litestar's handlers write from threads of their own, which must not outlive what they write to."""
    for handler in handlers:
        listener = getattr(handler, "listener", None)
        if isinstance(listener, QueueListener):
            # It would be stopped at the end of the process, and cannot be stopped twice.
            atexit.unregister(listener.stop)
            listener.stop()


def _forget_modules(folder: Path) -> None:
    """Let what was imported from a folder be imported anew."""
    found = [name for name, module in sys.modules.items() if str(folder) in (getattr(module, "__file__", None) or "")]
    for name in found:
        del sys.modules[name]


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of a module in which the blocks of a page run, in an empty folder."""
    # Those of other tests have the names of examples, too.
    _forget_modules(tmp_path.parent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = ModuleType("page")
    # Frameworks look up annotations in the module of a function.
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return vars(module)


@pytest.fixture
async def database(postgres_url: URL) -> AsyncIterator[str]:
    async with database_beside(postgres_url) as url:
        yield url


async def run_page(page: Page, names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    write_files(page, Path())
    for block, after in zip_longest(page.blocks, page.blocks[1:]):
        if not block.runs:
            continue
        where = f"the {block.language} block in line {block.line} of {page.path.name}"
        if block.language == "python":
            await run_python(page, block, names)
            shown = after.text if after and after.language == "text" and after.mark is None else ""
            assert capsys.readouterr().out == shown, f"what {where} prints"
        elif block.language == "console":
            # In a thread, because some commands start a loop of their own.
            await asyncio.to_thread(run_console, block, where)
        elif block.language == "sql":
            await run_sql(block)
        elif block.language == "mermaid":
            drawn = to_mermaid(names[block.said], show_details=False)
            assert block.text.strip() == drawn.strip(), where
        else:
            read_data(block, where)


def write_files(page: Page, folder: Path) -> None:
    for block in page.blocks:
        if block.title:
            (folder / block.title).write_text(block.text, "utf-8")


async def run_python(page: Page, block: Block, names: dict[str, Any]) -> None:
    """Run a block as `python -m asyncio` would, with its lines in tracebacks."""
    source = "\n" * block.line + block.text
    code = compile(source, page.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    pending = eval(code, names)  # noqa: S307 - they are our own pages
    if inspect.isawaitable(pending):
        await pending


def run_console(block: Block, where: str) -> None:
    """Run the `$ detent …` lines. The exit code must be 0, or the one in a comment `# exit code 1` behind the line."""
    for part in block.text.removeprefix("$ ").split("\n$ "):
        line, _, shown = part.partition("\n")
        program, *arguments = shlex.split(line, comments=True)
        if program != "detent":
            continue
        expected = int(found[1]) if (found := re.search(r"# exit code (\d+)$", line)) else 0
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == expected, f"{where}: {line}\n{result.output}"
        if shown.strip():
            assert result.output.strip() == shown.strip(), f"{where}: {line}"


async def run_sql(block: Block) -> None:
    """Execute the statements of a block one by one, as some refuse to share a transaction with others."""
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    try:
        for statement in statements(block.text):
            await connection.execute(statement)
    finally:
        await connection.close()


def statements(sql: str) -> list[str]:
    """What stands between semicolons, those inside of `$$ … $$` aside."""
    found = [""]
    for index, part in enumerate(sql.split("$$")):
        if index % 2:
            found[-1] += f"$${part}$$"
        else:
            rest, *others = part.split(";")
            found[-1] += rest
            found += others
    return [statement for statement in found if statement.strip()]


def read_data(block: Block, where: str) -> None:
    data = json.loads(block.text) if block.language == "json" else yaml.safe_load(block.text)
    if isinstance(data, dict) and "states" in data:
        read = WorkflowDefinition.from_json if block.language == "json" else WorkflowDefinition.from_yaml
        assert validate(read(block.text)) == [], where


@pytest.mark.parametrize("page", [page for page in PAGES if not page.needs_postgres], ids=str)
async def test_what_a_page_shows_is_what_happens(page: Page, names: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    await run_page(page, names, capsys)


@pytest.mark.parametrize("page", [page for page in PAGES if page.needs_postgres], ids=str)
async def test_what_a_page_shows_is_what_happens_on_postgresql(
    page: Page,
    names: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    database: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("DETENT_DATABASE_URL", database)
    await run_page(page, names, capsys)


@pytest.mark.parametrize("page", [page for page in PAGES if any(block.is_tests for block in page.blocks)], ids=str)
def test_tests_on_a_page_pass(page: Page, tmp_path: Path):
    write_files(page, tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n", "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(  # noqa: S603 - our own pages
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_fence_is_a_block_that_is_checked_or_says_why_not(page: Page):
    fences = len(re.findall(r"^ *(?:```|~~~)", page.text, re.MULTILINE))
    assert fences == 2 * len(page.blocks), "a fence is indented, or not written as the top of this file says"
    unchecked = [block for block in page.blocks if block.language not in RUN | NOT_CODE and block.mark != "not run"]
    assert unchecked == []
    undrawn = [block for block in page.blocks if block.language == "mermaid" and block.mark is None]
    assert undrawn == []


def anchors(page: Page) -> set[str]:
    """The ids that headings get."""
    prose = _BLOCK.sub("", page.text)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_to_pages_and_headings_that_exist(page: Page):
    pages = {other.path.name: other for other in PAGES}
    for target, anchor in _LINK.findall(_BLOCK.sub("", page.text)):
        name = target or page.path.name
        assert (page.path.parent / name).exists(), f"{name} does not exist"
        if anchor:
            assert anchor in anchors(pages[name]), f"{name} has no heading #{anchor}"


def test_every_page_is_in_the_navigation():
    config = (ROOT / "mkdocs.yml").read_text("utf-8")
    navigation = config.partition("\nnav:\n")[2].partition("\n\n")[0]
    listed = re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)
    assert sorted(listed) == sorted(page.path.name for page in PAGES)
