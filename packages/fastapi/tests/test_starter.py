"""`detent new NAME --fastapi`: the project that it makes runs."""

import json
from pathlib import Path

import pytest
from fastapi_cli.config import FastAPIConfig

from tests.starters import begun, called


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that was begun in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return begun("fastapi")


def test_its_tests_pass(project: Path):
    assert "2 passed" in called(project, "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")


def test_it_type_checks(project: Path):
    called(project, "mypy", "--strict", "--cache-dir", "/dev/null", "corner_shop")


def test_the_command_line_finds_it(project: Path):
    assert json.loads(called(project, "detent", "fastapi", "doctor", "--json"))["ok"] is True
    assert called(project, "detent", "fastapi", "list") == "no instance was found\n"


def test_fastapis_own_command_finds_it(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(project)
    assert FastAPIConfig.resolve().entrypoint == "corner_shop.app:app"
