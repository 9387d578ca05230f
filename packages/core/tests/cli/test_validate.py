"""`detent validate`: what it says, and its exit code."""

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Detent = Callable[..., Result]

BROKEN = """
name: order
initial_state: new
states:
  new:
    events:
      Close: {target: closd}
      Wait: {target: closed, timeout: -3d}
  closed: {}
"""
# A state that nothing leads to is a warning.
DOUBTFUL = '{"name": "order", "initial_state": "new", "states": {"new": {}, "island": {}}}'


def test_a_sound_file_passes(detent: Detent) -> None:
    result = detent("validate", "order.json")
    assert result.exit_code == 0
    assert result.output == "order.json: sound (order v1)\n"


def test_every_problem_is_told_with_place_and_hint(detent: Detent) -> None:
    Path("broken.yaml").write_text(BROKEN)
    result = detent("validate", "order.json", "broken.yaml")
    assert result.exit_code == 1
    assert "order.json: sound" in result.output
    assert "broken.yaml: 2 errors" in result.output
    assert (
        "states.new.events.Close.target: there is no state 'closd'\n          did you mean 'closed'?" in result.output
    )
    assert "states.new.events.Wait.timeout: " in result.output


def test_warnings_pass_unless_strict(detent: Detent) -> None:
    Path("doubtful.json").write_text(DOUBTFUL)
    assert detent("validate", "doubtful.json").exit_code == 0
    result = detent("validate", "--strict", "doubtful.json")
    assert result.exit_code == 1
    assert "warning states.island" in result.output


def test_json_says_the_same(detent: Detent) -> None:
    Path("broken.yaml").write_text(BROKEN)
    result = detent("validate", "--json", "order.json", "broken.yaml")
    assert result.exit_code == 1
    answer = json.loads(result.output)
    assert not answer["valid"]
    sound, broken = answer["files"]
    assert sound == {"file": "order.json", "workflow": "order", "version": "1", "valid": True, "problems": []}
    assert broken["problems"][0]["code"] == "unknown_state"
    assert set(broken["problems"][0]) == {"path", "code", "message", "hint", "severity"}


def test_standard_input_may_be_json_or_yaml(detent: Detent) -> None:
    assert detent("validate", "-", stdin=Path("order.json").read_text()).exit_code == 0
    assert "standard input: 2 errors" in detent("validate", "-", stdin=BROKEN).output


def test_files_that_cannot_be_read_are_problems_like_others(detent: Detent) -> None:
    Path("cut.json").write_text("{")
    Path("notes.txt").write_text("hello")
    Path("latin.yaml").write_bytes(b"name: caf\xe9")
    Path("folder.json").mkdir()
    result = detent("validate", "gone.json", "cut.json", "notes.txt", "latin.yaml", "folder.json")
    assert result.exit_code == 1
    assert result.output.count("1 error") == 5
    assert "gone.json: 1 error\n  error   cannot be read: No such file or directory" in result.output


def test_a_file_cannot_drive_the_terminal(detent: Detent) -> None:
    Path("evil.json").write_text(
        json.dumps({"name": "a\x1b[2J", "initial_state": "\x1b]0;owned\x07", "states": {"a": {}}})
    )
    result = detent("validate", "evil.json")
    assert result.exit_code == 1
    assert not {"\x1b", "\x07"} & set(result.output)


def test_no_file_is_a_mistake_of_use(detent: Detent) -> None:
    assert detent("validate").exit_code == 2
