"""`detent new`: what it writes, and what it leaves alone. The packages of the frameworks test that it runs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.starters import called

Detent = Callable[..., Result]

FRAMEWORKS = ["litestar", "fastapi"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_is_written_as_we_write(detent: Detent, framework: str):
    assert detent("new", "corner-shop", f"--{framework}").exit_code == 0
    for check in (("check",), ("format", "--check")):
        called(Path("corner-shop"), "ruff", *check, "--isolated", "--line-length", "120", ".")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_programs_get_json(detent: Detent, framework: str):
    view = json.loads(detent("new", "shop", f"--{framework}", "--json").stdout)
    assert view["folder"] == "shop"
    assert {str(path.relative_to("shop")) for path in Path("shop").rglob("*") if path.is_file()} == set(view["files"])
    assert {".gitignore", "README.md", "pyproject.toml", "shop/app.py", "shop/workflow.py"} < set(view["files"])


def test_what_is_there_is_not_written_over(detent: Detent):
    detent("new", "corner-shop", "--litestar")
    before = Path("corner-shop/README.md").read_text()
    result = detent("new", "corner-shop", "--fastapi")
    assert result.exit_code == 1
    assert "corner-shop cannot be made: File exists" in " ".join(result.stderr.split())
    assert Path("corner-shop/README.md").read_text() == before


@pytest.mark.parametrize("name", ["Shop", "../shop", "class", "json", "detent", "fastapi", "1shop", ""])
def test_a_name_that_is_none_is_a_mistake_of_use(detent: Detent, name: str):
    before = list(Path().iterdir())
    assert detent("new", name, "--litestar").exit_code == 2
    assert list(Path().iterdir()) == before


def test_the_framework_is_said(detent: Detent):
    result = detent("new", "shop")
    assert (result.exit_code, "--litestar or --fastapi" in result.stderr) == (2, True)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_its_readme_installs_what_no_index_has_with_a_pip_that_knows_groups(detent: Detent, framework: str):
    detent("new", "shop", f"--{framework}")
    lines = Path("shop/README.md").read_text("utf-8").splitlines()
    begin = lines.index('pip install --upgrade "pip>=25.1"')
    assert lines[begin + 1 :][:2] == [
        f"pip install -e CLONE/packages/core -e CLONE/packages/{framework}",
        "pip install -e . --group dev",
    ]
