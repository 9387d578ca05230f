"""`detent new NAME --litestar`: the project that it makes runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from detent.cli.main import main


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that was begun in an empty folder."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["new", "corner-shop", "--litestar"])
    assert result.exit_code == 0, result.output
    assert "corner-shop/corner_shop/app.py" in result.stdout
    return tmp_path / "corner-shop"


def called(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(  # noqa: S603 - our own project
        command, cwd=project, capture_output=True, text=True, timeout=120, check=False
    )


def test_its_tests_pass(project: Path):
    # Not ours, and no project's: what advanced-alchemy does, which Litestar imports where it is installed.
    but = "ignore:The declarative_mixin decorator:DeprecationWarning"
    result = called(project, "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-W", but)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 passed" in result.stdout


def test_it_is_written_as_we_write(project: Path):
    for check in (("check",), ("format", "--check")):
        result = called(project, "ruff", *check, "--isolated", "--line-length", "120", ".")
        assert result.returncode == 0, result.stdout + result.stderr


def test_it_type_checks(project: Path):
    result = called(project, "mypy", "--strict", "--cache-dir", "/dev/null", "corner_shop")
    assert result.returncode == 0, result.stdout + result.stderr


def test_its_command_line_has_the_workflows(project: Path):
    result = called(project, "litestar", "--app", "corner_shop.app:app", "workflows", "doctor", "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(result.stdout)["ok"] is True
    listed = called(project, "litestar", "--app", "corner_shop.app:app", "workflows", "list")
    assert listed.stdout == "no instance was found\n", listed.stdout + listed.stderr


def test_what_is_there_is_not_written_over(project: Path):
    before = (project / "README.md").read_text()
    result = CliRunner().invoke(main, ["new", "corner-shop", "--litestar"])
    assert result.exit_code == 1
    assert "corner-shop cannot be made: File exists" in " ".join(result.stderr.split())
    assert (project / "README.md").read_text() == before


@pytest.mark.parametrize("name", ["Shop", "../shop", "class", "json", "detent", "1shop", ""])
def test_a_name_that_is_none_is_a_mistake_of_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["new", name, "--litestar"]).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_the_framework_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["new", "shop"]).exit_code == 2


def test_programs_get_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    view = json.loads(CliRunner().invoke(main, ["new", "shop", "--litestar", "--json"]).stdout)
    assert view["folder"] == "shop"
    assert {str(path.relative_to("shop")) for path in Path("shop").rglob("*") if path.is_file()} == set(view["files"])
