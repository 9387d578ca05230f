"""What `docs/own-store.md` shows of this example is what stands in its files."""

import re
from pathlib import Path
from textwrap import indent

import pytest

EXAMPLE = Path(__file__).parents[1]
PAGE = (EXAMPLE.parents[1] / "docs" / "own-store.md").read_text("utf-8")
EXCERPTS = re.findall(r"^<!-- not run: an excerpt of (\S+) -->\n+```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_has_excerpts():
    assert len(EXCERPTS) == PAGE.count("<!-- not run") > 0


@pytest.mark.parametrize(("file", "excerpt"), EXCERPTS, ids=[f"{file}-{text.split('(')[0]}" for file, text in EXCERPTS])
def test_an_excerpt_is_what_stands_in_the_file(file: str, excerpt: str):
    source = (EXAMPLE / file).read_text("utf-8")

    assert any(indent(excerpt, depth) in source for depth in ("", "    ", "        "))
