"""The whole command line, with what all packages add to it: each command has `--json`, its place in the docs, and exit codes."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from detent.cli.main import main
from detent.cli.operating.application import application_commands

PAGE = (Path(__file__).parents[1] / "docs" / "cli.md").read_text("utf-8")
WITHOUT_JSON = {
    "db sql": "prints SQL",
    "demo": "serves, or walks through an example",
    "diagram": "of an application: prints a picture as text",
    "playground": "serves",
}
SHUT = (
    '{"name": "door", "initial_state": "shut", "states": {"shut": {"events": {"open": {"target": "%s"}}}, "open": {}}}'
)


def leaves(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """The commands that do something, with how they are called."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, f"{path}{name} ")
        else:
            yield path + name, command


ALL = dict(leaves(main))


def takes_json(command: click.Command) -> bool:
    return any("--json" in parameter.opts for parameter in command.params)


def test_every_command_that_prints_data_prints_json():
    # Those of `detent fastapi` are those of any application, and stand without its name.
    lacking = {name.removeprefix("fastapi ") for name, command in ALL.items() if not takes_json(command)}
    assert lacking == set(WITHOUT_JSON)
    assert takes_json(ALL["diagram"])


def test_every_command_says_what_it_does_and_stands_in_the_docs():
    for name, command in ALL.items():
        assert command.help, name
        called = name.removeprefix("fastapi ")
        assert re.search(rf"`(?:detent )?(?:{called}|{called.split()[-1]})\b|^## detent {called}", PAGE, re.M), name


def test_both_frameworks_have_what_operators_have():
    fastapi = {name.removeprefix("fastapi ") for name in ALL if name.startswith("fastapi ")}
    group = click.Group(commands={str(command.name): command for command in application_commands()})
    assert fastapi == {name for name, _ in leaves(group)}
    assert {"list", "schedules fire", "tokens revoke", "messages revive", "bench", "sweep", "worker"} <= fastapi


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a sound definition and a broken one; no variable names a runtime."""
    monkeypatch.chdir(tmp_path)
    for name in ("DETENT_RUNTIME", "DETENT_DATABASE_URL", "DETENT_FASTAPI"):
        monkeypatch.delenv(name, raising=False)
    Path("door.json").write_text(SHUT % "open")
    Path("broken.json").write_text(SHUT % "opne")
    Path("door.mmd").write_text("out of date")


EXIT_CODES = {
    0: ["validate door.json", "check door.json", "diagram door.json", "--version", "schedules --help"],
    1: [
        "validate broken.json",
        "check broken.json",
        "check door.json --strict",
        "diagram door.json --output door.mmd --check",
        "generate door.mmd",
        "list --database sqlite:///nowhere.db",
        "doctor --database sqlite:///nowhere.db",
        "list --app nowhere:runtime",
        "fastapi -e nowhere:app list",
    ],
    2: ["list", "nonsense", "schedules nonsense", "trigger 1 open", "messages revive", "tokens validate", "new shop"],
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("called", "code"), [(each, code) for code, some in EXIT_CODES.items() for each in some])
def test_exit_codes_are_those_of_the_docs(called: str, code: int):
    result = CliRunner().invoke(main, called.split(), input="")
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output


def test_the_docs_name_these_exit_codes_and_no_other():
    table = PAGE[PAGE.index("## Exit codes") :]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.M)] == sorted(EXIT_CODES)
