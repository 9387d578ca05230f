"""The page in the documentation, with a Redis."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.test_docs import page_of, run_python

PAGE = Path(__file__).parents[3] / "docs" / "redis.md"


async def test_what_the_page_shows_is_what_happens(
    own_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = vars(ModuleType("page")) | {"REDIS_URL": own_server.url}
    page = page_of(PAGE)
    blocks = [block for block in page.blocks if block.language == "python"]
    for block in blocks:
        await run_python(page, block, names)
    assert len(blocks) == 2
