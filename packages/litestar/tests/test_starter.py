"""`detent new NAME --litestar`: the project that it makes runs."""

import json
from pathlib import Path

import pytest

from tests.starters import begun, called


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that was begun in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return begun("litestar")


def test_its_tests_pass(project: Path):
    # Not ours, and no project's: what advanced-alchemy does, which Litestar imports where it is installed.
    but = "ignore:The declarative_mixin decorator:DeprecationWarning"
    assert "2 passed" in called(project, "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-W", but)


def test_it_type_checks(project: Path):
    called(project, "mypy", "--strict", "--cache-dir", "/dev/null", "corner_shop")


def test_its_command_line_has_the_workflows(project: Path):
    workflows = ("litestar", "--app", "corner_shop.app:app", "workflows")
    assert json.loads(called(project, *workflows, "doctor", "--json"))["ok"] is True
    assert called(project, *workflows, "list") == "no instance was found\n"
