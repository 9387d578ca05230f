"""A real Chromium, the running demo, and visitors to it.

Where Chromium, node or npm is missing the tests are skipped and say why; in CI they fail instead.
"""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest
from playwright.async_api import Browser, async_playwright
from sqlalchemy import URL

from tests.browser.demo import Demo, running_demo
from tests.browser.visitor import Visitor, visiting
from tests.databases import database_beside
from tests.node_packages import give_up, installed

HERE = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome")

Visiting: TypeAlias = Callable[..., AbstractAsyncContextManager[Visitor]]


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        give_up(f"none of {', '.join(NAMES)} found: the browser tests look at pages with Chromium")
    async with async_playwright() as playwright:
        # As root, in a container, Chromium has no sandbox; what it opens is ours.
        browser = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def mermaid_script() -> Path:
    """Mermaid as its package has it: what users of the dashboard put on their server."""
    return installed(HERE.parent / "mermaid") / "mermaid" / "dist" / "mermaid.min.js"


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, which finds what keeps people from using a page."""
    return (installed(HERE) / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="session")
async def demo(browser: Browser, postgres_url: URL, mermaid_script: Path) -> AsyncIterator[Demo]:
    async with database_beside(postgres_url) as url, running_demo(url, mermaid_script) as running:
        yield running


@pytest.fixture
def visit(browser: Browser, demo: Demo) -> Visiting:
    """Visitors to the demo's dashboard: `async with visit(color_scheme="dark") as visitor`."""
    return partial(visiting, browser, demo.pages)


@pytest.fixture
async def visitor(visit: Visiting) -> AsyncIterator[Visitor]:
    async with visit() as found:
        yield found
