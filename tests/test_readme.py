"""Everything in the README runs, in order, in one namespace, in an empty folder."""

import ast
import inspect
import logging
import re
import shlex
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import URL

from detent import to_mermaid
from detent.cli.main import main
from examples.orders.workflow import order
from tests.databases import database_beside

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")


@dataclass(frozen=True)
class Block:
    """A fenced block and where it stands."""

    language: str
    text: str
    line: int


BLOCKS = [
    Block(found[1], found[2], TEXT[: found.start(2)].count("\n"))
    for found in re.finditer(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Litestar sets up logging to the stream it finds, which here is one test's."""
    loggers = [logging.getLogger(name) for name in (None, "litestar")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


@pytest.fixture
async def database(postgres_url: URL) -> AsyncIterator[str]:
    async with database_beside(postgres_url) as url:
        yield url


@pytest.fixture
def readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str) -> dict[str, Any]:
    """The names of a module in which the blocks run, in an empty folder."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.chdir(tmp_path)
    module = ModuleType("readme")
    # Frameworks look up annotations in the module of a function.
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return vars(module)


async def run(block: Block, namespace: dict[str, Any]) -> None:
    """Run a block as `python -m asyncio` would, with its lines in tracebacks."""
    source = "\n" * block.line + block.text
    code = compile(source, ROOT / "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    pending = eval(code, namespace)  # noqa: S307 - it is our own README
    if inspect.isawaitable(pending):
        await pending


async def run_all(namespace: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Run every block; what one prints must be what the text block after it shows."""
    for block, after in zip(BLOCKS, [*BLOCKS[1:], None], strict=True):
        if block.language == "python":
            await run(block, namespace)
            shown = after.text if after and after.language == "text" else ""
            assert capsys.readouterr().out == shown, f"what the block in line {block.line} prints"
        elif block.language == "console":
            run_commands(block)


def run_commands(block: Block) -> None:
    for part in block.text.removeprefix("$ ").split("\n$ "):
        line, _, shown = part.partition("\n")
        program, *arguments = shlex.split(line)
        result = CliRunner().invoke(main, arguments)
        assert (program, result.exit_code) == ("detent", 0), result.output
        if "--help" not in arguments:
            assert result.output.strip() == shown.strip()


async def test_every_block_runs_and_prints_what_is_shown(readme: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    await run_all(readme, capsys)


async def test_its_test_passes(readme: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    await run_all(readme, capsys)
    await readme["test_a_delivered_order_closes_by_itself"]()


async def test_its_application_takes_requests(readme: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    await run_all(readme, capsys)
    app = readme["app"]
    key = {"x-api-key": "let-me-in"}
    async with app.lifespan(), httpx.AsyncClient(base_url="http://shop", transport=httpx.ASGITransport(app)) as http:
        new = {"workflow": "order", "context": {"customer": "Ada", "address": "London"}}
        assert (await http.post("/workflows/instances", json=new)).status_code == 401
        placed = (await http.post("/workflows/instances", json=new, headers=key)).json()
        paid = await http.post(f"/orders/{placed['id']}/pay")
        assert (paid.status_code, paid.json()) == (201, {"state": "exportable"})
        path = f"/workflows/instances/{placed['id']}/events/Export"
        assert (await http.post(path, json={}, headers=key)).json()["to_state"] == "in_transit"
    assert capsys.readouterr().out == "Ada: Your order is on its way.\n"


async def test_its_workflow_is_that_of_the_example():
    namespace: dict[str, Any] = {}
    await run(BLOCKS[0], namespace)
    assert namespace["order"] == order


def test_its_diagram_is_the_one_the_workflow_gives():
    diagram = next(block for block in BLOCKS if block.language == "mermaid")
    assert diagram.text.strip() == to_mermaid(order, show_details=False).strip()


def test_what_it_installs_are_all_packages_and_extras_that_exist():
    [line] = re.findall(r"^pip install (.+)$", TEXT, re.MULTILINE)
    named = {part.partition("[")[0]: part for part in shlex.split(line) if part != "-e"}
    assert sorted(named) == sorted(str(path.relative_to(ROOT)) for path in (ROOT / "packages").iterdir())
    for package, part in named.items():
        written = tomllib.loads((ROOT / package / "pyproject.toml").read_text("utf-8"))["project"]
        wanted = set(part.partition("[")[2].removesuffix("]").split(",")) - {""}
        assert wanted <= set(written.get("optional-dependencies", {}))


def test_it_names_every_extra_of_the_runtime():
    project = tomllib.loads((ROOT / "packages" / "core" / "pyproject.toml").read_text("utf-8"))["project"]
    rows = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \|", TEXT.partition("| extra of `detent` |")[2].partition("\n\n")[0], re.MULTILINE
    )
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(project["optional-dependencies"])


def test_what_it_says_is_not_there_is_on_the_page_of_limits_and_on_no_other():
    """Long after there were schedules, it said that there were none."""
    [missing] = re.findall(r"^It does not: (.+?)\.", TEXT, re.MULTILINE)
    limits = (ROOT / "docs" / "limits.md").read_text("utf-8").partition("\n## Not there yet\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!what|---)(.+?) \|", limits, re.MULTILINE)
    assert all(max(thing.split(), key=len) in limits for thing in missing.split(", "))
    pages = "\n".join(path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md"))
    headings = {heading.casefold() for heading in re.findall(r"^#+ (.+)$", pages, re.MULTILINE)}
    assert not headings & {row.casefold() for row in rows}


def test_its_links_lead_to_files():
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_its_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)\b", TEXT)) <= targets | {"help"}
